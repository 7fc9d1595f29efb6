"""``python -m analyzer.demo``: the demo in a folder of its own that is removed at the end.

In: arguments. Out: the demo's exit code, and nothing left behind unless asked for.

    python -m analyzer.demo [--for 45s] [--keep]
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.demo.story import Demo
from analyzer.errors import AnalyzerError
from analyzer.present import open_terminal
from analyzer.results.gates import FAILED, INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.present import Terminal


@contextmanager
def _place(*, keep: bool) -> Iterator[Path]:
    if keep:
        yield Path(tempfile.mkdtemp(prefix="proctor-demo-"))
        return
    with tempfile.TemporaryDirectory(prefix="proctor-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)


async def _run(terminal: Terminal, folder: Path, duration: str) -> int:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (a coroutine runs in a task)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await Demo(terminal, folder, duration=duration).run()


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m analyzer.demo", description=__doc__)
    parser.add_argument("--for", dest="duration", default="45s", help="length of the assessment")
    parser.add_argument("--keep", action="store_true", help="keep the data folder and the logs")
    asked = parser.parse_args()
    terminal = open_terminal()
    with ExitStack() as stack:
        folder = stack.enter_context(_place(keep=asked.keep))
        try:
            code = asyncio.run(_run(terminal, folder, asked.duration))
        except AnalyzerError as error:
            terminal.error(str(error))
            code = FAILED
        except (KeyboardInterrupt, asyncio.CancelledError):
            terminal.note("Stopped; everything that the demo started has ended.")
            code = INTERRUPTED
        what = "is kept" if asked.keep else "was temporary and is removed"
        terminal.say()
        terminal.say(f"The data folder {folder} {what}.", style="dim")
    return code


if __name__ == "__main__":
    sys.exit(main())
