"""Warming up: the engine's loops compiled before the first run needs them.

In: rules with the tests inside their files. Out: nothing but machine code, in memory and on disk:
on a fresh machine compiling takes ten seconds, which a run would spend without showing an event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.engine.fused import FusedEngine
from analyzer.telemetry.columns import row_columns
from analyzer.telemetry.dictionary import Dictionary
from analyzer.telemetry.slices import Slice, joined
from rules.rehearsal import stages
from rules.telemetry.ledger import Intervals, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rules.format import Rule
    from rules.outcome import Outcome
    from rules.rehearsal import Stage


def warm_up(rules: Iterable[Rule]) -> list[Outcome]:
    """Return what the engine says of every test of the rules, each test on hosts of its own."""
    rules = list(rules)
    engine, dictionary = FusedEngine(rules), Dictionary()
    cases = [stage for rule in rules for stage in stages(rule)]
    to_us = max((stage.case.duration_us for stage in cases), default=0)
    ledger = Ledger(0, to_us)
    agents: list[str] = []
    for number, stage in enumerate(cases):
        for piece in _slices(stage, f"{number}:", to_us, dictionary):
            ledger.add_host(piece.agent_id, watched=Intervals([(0, to_us)]))
            agents.append(piece.agent_id)
            engine.feed(piece)
    return engine.outcomes(ledger, agents)


def _slices(stage: Stage, prefix: str, to_us: int, dictionary: Dictionary) -> Iterator[Slice]:
    for agent_id, by_kind in stage.rows.items():
        rows = [row for own in by_kind.values() for row in own]
        tables = {kind: joined([own]) for kind, own in row_columns(rows, dictionary).items()}
        yield Slice(prefix + agent_id, 0, to_us, tables)
