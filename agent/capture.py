"""Capture: everything the sensors of this host see for a while, as text in one file.

In: a collector and a duration, counted from its readiness. Out: NDJSON with header, coverage rows
and events; compressed where the file name says so. The file appears when it is complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

from agent.coverage import merge_coverage
from agent.events_file import EventsFile
from rules.telemetry.kinds import KINDS
from rules.telemetry.ndjson import Capture, encode_capture, encode_coverage

if TYPE_CHECKING:
    from agent.collect import Collector
    from rules.telemetry.clock import Clock
    from rules.telemetry.header import Coverage

_DRAIN_INTERVAL_S: Final = 0.5
PIPE_PROGRESS_S: Final = 10.0  # between two lines where nobody watches a terminal
_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Captured:
    """What a capture has written."""

    from_us: int
    to_us: int
    kinds: tuple[str, ...]
    events: int
    is_interrupted: bool

    @property
    def exit_code(self) -> int:
        """Return 130 after Ctrl+C, else 0; the file is whole in both cases."""
        return _INTERRUPTED if self.is_interrupted else 0


async def capture(
    collector: Collector,
    *,
    clock: Clock,
    agent_id: str,
    duration_s: float,
    out: str,
    messages: TextIO | None = None,
) -> Captured:
    """Collect every kind for ``duration_s`` from readiness on and write it to ``out``.

    Ctrl+C ends it early and keeps what there is.

    Args:
        collector: What observes; it is started and stopped here.
        clock: The agent's clock.
        agent_id: The host's id in the file.
        duration_s: How long, in seconds.
        out: A path, ``-`` for standard output. ``.zst`` and ``.gz`` compress.
        messages: Where progress goes; standard error unless a test says otherwise.

    Raises:
        OSError: The file cannot be written.
    """
    messages = messages or sys.stderr
    with _interruptible() as interrupted:
        file = await asyncio.to_thread(EventsFile, out)
        try:
            recording = _Recording(collector, clock, agent_id, file)
            try:
                await recording.start()
                _say(messages, "ready")
                progress = _Progress(messages, clock, duration_s)
                await recording.run(duration_s, interrupted, progress)
            finally:
                await collector.stop()
            await recording.finish()
        finally:
            await asyncio.to_thread(file.close)
        return recording.result(is_interrupted=interrupted.is_set())


class _Recording:
    def __init__(self, collector: Collector, clock: Clock, agent_id: str, file: EventsFile) -> None:
        self._collector = collector
        self._clock = clock
        self._agent_id = agent_id
        self._file = file
        self._coverage: list[Coverage] = []
        self._kinds: set[str] = set()
        self._from_us = self._cut_us = 0
        self._events = 0

    async def start(self) -> None:
        await self._collector.start(frozenset(KINDS))
        self._from_us = self._cut_us = self._clock.now_us()
        await self._take()

    async def run(self, duration_s: float, interrupted: asyncio.Event, progress: _Progress) -> None:
        end_s = self._clock.monotonic_s() + duration_s
        while not interrupted.is_set() and (left_s := end_s - self._clock.monotonic_s()) > 0:
            progress.show(self._events, left_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, _DRAIN_INTERVAL_S)):
                    await interrupted.wait()
            await self._take()
        progress.end()

    async def finish(self) -> None:
        await self._take()
        header = Capture(self._agent_id, self._from_us, self._cut_us, tuple(sorted(self._kinds)))
        lines = [
            encode_capture(header),
            *(encode_coverage(self._agent_id, row) for row in merge_coverage(self._coverage)),
        ]
        await asyncio.to_thread(self._file.finish, lines)

    def result(self, *, is_interrupted: bool) -> Captured:
        return Captured(
            from_us=self._from_us,
            to_us=self._cut_us,
            kinds=tuple(sorted(self._kinds)),
            events=self._events,
            is_interrupted=is_interrupted,
        )

    async def _take(self) -> None:
        await self._collector.catch_up()
        events = self._collector.drain()
        from_us, self._cut_us = self._cut_us, self._clock.now_us()
        coverage = await asyncio.to_thread(self._collector.coverage, from_us, self._cut_us)
        self._coverage += coverage
        self._kinds.update(self._collector.collected())
        self._events += len(events)
        await asyncio.to_thread(self._file.append, events)


class _Progress:
    """One changing line on a terminal, else a line now and then."""

    def __init__(self, messages: TextIO, clock: Clock, duration_s: float) -> None:
        self._messages = messages
        self._clock = clock
        self._is_terminal = messages.isatty()
        self._next_s = clock.monotonic_s()
        self._duration_s = duration_s
        if not self._is_terminal:
            self._next_s += PIPE_PROGRESS_S

    def show(self, events: int, left_s: float) -> None:
        text = f"Capturing, {left_s:.0f} s of {self._duration_s:g} s left, {events:,} events"
        if self._is_terminal:
            _write(self._messages, f"\r\x1b[K{text}")
        elif self._clock.monotonic_s() >= self._next_s:
            self._next_s += PIPE_PROGRESS_S
            _say(self._messages, text)

    def end(self) -> None:
        if self._is_terminal:
            _write(self._messages, "\r\x1b[K")


@contextlib.contextmanager
def _interruptible() -> Iterator[asyncio.Event]:
    """Yield an event that Ctrl+C or SIGTERM sets, instead of ending the program."""
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    try:
        yield interrupted
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _say(messages: TextIO, text: str) -> None:
    _write(messages, f"{text}\n")


def _write(messages: TextIO, text: str) -> None:
    messages.write(text)
    messages.flush()
