"""Ours: Proctor's engine on slices in memory, on wire messages, and on a stream from disk.

In: a task. Out: what judging costs, from the first slice to the outcomes, and its counts.
"""

from __future__ import annotations

import cProfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

from analyzer.engine import FusedEngine
from analyzer.telemetry.columns import batch_columns
from analyzer.telemetry.slices import Slice
from benchmarks.fleet.batches import messages
from benchmarks.judging.profile import profile_lines
from benchmarks.judging.task import Measured, Stopwatch, Task, peak_rss_bytes, quickest
from benchmarks.peers.peer import outcome_counts
from rules.telemetry.wire import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.engine import Engine
    from analyzer.telemetry.dictionary import Dictionary
    from benchmarks.fleet.store import Fleet, Piece
    from rules.format import Rule
    from rules.outcome import Outcome


def new_engine(rules: Sequence[Rule]) -> Engine:
    """Return the engine that is measured."""
    return FusedEngine(rules)


def measure_ours(task: Task) -> Measured:
    """Return what judging slices in memory costs."""
    fleet = task.fleet()
    return judge_slices(task, fleet, _pieces(task, fleet), fleet.agents[: task.hosts])


def judge_slices(task: Task, fleet: Fleet, pieces: list[Piece], agents: Sequence[str]) -> Measured:
    """Return what judging some slices of some hosts costs, once they are in memory."""
    rules = task.pack()
    with Stopwatch() as loading:
        slices = fleet.loaded(pieces)
    with Stopwatch() as compiling:
        new_engine(rules).feed(slices[0])
    judged = _Judged(fleet, rules, agents)
    watch = quickest(task.rounds, lambda: judged.judge(slices))
    return judged.measured(
        watch,
        events=sum(map(len, slices)),
        slices=len(slices),
        load_s=loading.cpu_s,
        compile_s=compiling.cpu_s,
    )


def measure_wire(task: Task) -> Measured:
    """Return what judging costs from wire messages on, and what of it decoding takes."""
    fleet, rules = task.fleet(), task.pack()
    pieces = _pieces(task, fleet)
    received = list(messages(fleet.streamed(pieces)))
    judged = _Judged(fleet, rules, fleet.agents[: task.hosts])
    decoding = quickest(task.rounds, lambda: _decode_all(received, fleet.new_dictionary()))
    new_engine(rules).feed(_slice_of(received[0], fleet.new_dictionary()))
    watch = quickest(task.rounds, lambda: judged.judge_messages(received))
    measured = judged.measured(
        watch, events=sum(piece.events for piece in pieces), slices=len(received)
    )
    measured.figures = {
        "decode_s": decoding.cpu_s,
        "bytes_per_event": sum(map(len, received)) / measured.events,
    }
    return measured


def measure_memory(task: Task) -> Measured:
    """Return the peak of memory where slices come from disk, one after the other."""
    fleet, rules = task.fleet(), task.pack()
    with ProcessPoolExecutor(1, get_context("spawn")) as other:  # cutting takes memory too
        pieces = other.submit(_cut, task).result()
    judged = _Judged(fleet, rules, fleet.agents[: task.hosts])
    before = peak_rss_bytes()
    watch = judged.judge(fleet.streamed(pieces))
    measured = judged.measured(
        watch, events=sum(piece.events for piece in pieces), slices=len(pieces)
    )
    measured.before_rss_bytes = before
    return measured


def measure_profile(task: Task) -> Measured:
    """Return which functions take the time."""
    fleet, rules = task.fleet(), task.pack()
    slices = fleet.loaded(_pieces(task, fleet))
    judged = _Judged(fleet, rules, fleet.agents[: task.hosts])
    judged.judge(slices[:1])
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    watch = judged.judge(slices)
    profile.disable()
    measured = judged.measured(watch, events=sum(map(len, slices)), slices=len(slices))
    measured.lines = profile_lines(profile)
    return measured


class _Judged:
    """Judges as often as asked, each time with a new engine; keeps the last outcomes."""

    def __init__(self, fleet: Fleet, rules: Sequence[Rule], agents: Sequence[str]) -> None:
        self._fleet = fleet
        self._rules = rules
        self._agents = agents
        self._ledger = fleet.ledger()
        self._outcomes: list[Outcome] = []
        self._name = ""

    def judge(self, slices: Iterable[Slice]) -> Stopwatch:
        with Stopwatch() as watch:
            with Stopwatch() as setting_up:
                engine = new_engine(self._rules)
                rest = iter(slices)
                for first in rest:
                    engine.feed(first)
                    break
            for piece in rest:
                engine.feed(piece)
            with Stopwatch() as concluding:
                self._outcomes = engine.outcomes(self._ledger, self._agents)
        self._name = type(engine).__name__
        watch.parts = {"set_up": setting_up.cpu_s, "conclude": concluding.cpu_s}
        return watch

    def judge_messages(self, received: Iterable[bytes]) -> Stopwatch:
        dictionary = self._fleet.new_dictionary()
        return self.judge(_slice_of(message, dictionary) for message in received)

    def measured(
        self,
        watch: Stopwatch,
        *,
        events: int,
        slices: int,
        load_s: float = 0.0,
        compile_s: float = 0.0,
    ) -> Measured:
        return Measured(
            events=events,
            judge_s=watch.cpu_s,
            judge_wall_s=watch.wall_s,
            set_up_s=watch.parts["set_up"],
            conclude_s=watch.parts["conclude"],
            load_s=load_s,
            compile_s=compile_s,
            slices=slices,
            counts=outcome_counts(self._rules, self._outcomes),
            engine=self._name,
            peak_rss_bytes=peak_rss_bytes(),
        )


def _pieces(task: Task, fleet: Fleet) -> list[Piece]:
    return fleet.pieces(max_events=task.slice, order=task.order, hosts=task.hosts)


def _cut(task: Task) -> list[Piece]:
    return _pieces(task, task.fleet())


def _decode_all(received: Iterable[bytes], dictionary: Dictionary) -> Stopwatch:
    with Stopwatch() as watch:
        for message in received:
            _slice_of(message, dictionary)
    return watch


def _slice_of(message: bytes, dictionary: Dictionary) -> Slice:
    batch = decode(message)
    header = batch.header
    tables = batch_columns(batch, dictionary)
    return Slice(header.agent_id, header.from_us, header.to_us, tables)
