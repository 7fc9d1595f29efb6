"""Children: processes that the demo starts, and ends again whatever happens.

In: command lines. Out: running processes whose output goes to files. They end when they are told
to, when the block ends, and when this process dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from analyzer.errors import AnalyzerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

STOP_S: Final = 10.0  # from SIGTERM to SIGKILL
_TAIL_LINES: Final = 15
_PR_SET_PDEATHSIG: Final = 1  # Source: prctl(2)


@dataclass(frozen=True, slots=True)
class Child:
    """A process in the background, and the file that its output goes to."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def failure(self) -> AnalyzerError | None:
        """Return why it has ended, with its last lines, or None while it runs."""
        code = self.process.returncode
        if code is None:
            return None
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        return AnalyzerError(f"{self.name} ended with exit code {code}:\n{tail}")


class Children:
    """Processes in the background; leaving the block ends them, the last one first."""

    def __init__(self, folder: Path) -> None:
        """Write their output to files in ``folder``."""
        self._folder = folder
        self._running: list[Child] = []

    async def __aenter__(self) -> Self:
        """Begin with none."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End them all."""
        while self._running:
            await asyncio.shield(end(self._running.pop().process))

    async def start(self, name: str, command: Sequence[str]) -> Child:
        """Start one, with a pipe as its standard input that ends when this process does."""
        path = self._folder / f"{name}.log"
        with path.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                # Ctrl+C is for this process, which ends the others in order.
                start_new_session=True,
                preexec_fn=_IN_CHILD,
            )
        child = Child(name, process, path)
        self._running.append(child)
        return child


async def run_here(command: Sequence[str]) -> int:
    """Run a command on our own streams, and return its exit code."""
    process = await asyncio.create_subprocess_exec(*command, preexec_fn=_IN_CHILD)
    try:
        return await process.wait()
    finally:
        await asyncio.shield(end(process))


async def end(process: asyncio.subprocess.Process) -> None:
    """End a process: politely first, by force after ``STOP_S``."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_S)


def _death_wish() -> Callable[[], None] | None:
    """Return what asks the kernel, in a child, for SIGTERM when the parent dies."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # found before any fork: after one nothing may be loaded
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


_IN_CHILD: Final = _death_wish()
