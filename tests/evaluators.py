"""Small worlds judged by the reference, and by the fused engine with and without numba."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from random import Random

from analyzer.engine import FusedEngine
from analyzer.telemetry.columns import row_columns
from analyzer.telemetry.dictionary import Dictionary
from analyzer.telemetry.slices import Slice, joined
from rules.format import Rule
from rules.outcome import Outcome
from rules.reference import group_rows, judge
from rules.telemetry.batch import Row
from rules.telemetry.ledger import Intervals, Ledger
from tests.rule_documents import Plain, document
from tests.small_worlds import RUN_US

AGENTS = ["i-1", "i-2"]


def rules_of(plains: Sequence[Plain]) -> list[Rule]:
    """Return one rule per detection."""
    return [
        Rule.model_validate(document(plain, id=f"rule-{number:03}"))
        for number, plain in enumerate(plains)
    ]


def ledger_of() -> Ledger:
    """Return the ledger of a run in which everything was watched."""
    ledger = Ledger(0, RUN_US)
    for agent_id in AGENTS:
        ledger.add_host(agent_id, watched=Intervals([(0, RUN_US)]))
    return ledger


def by_reference(rules: list[Rule], rows: list[Row], max_groups: int | None) -> list[Outcome]:
    """Return what the reference makes of every rule on every host."""
    by_host = group_rows(rows)
    return [
        judge(rule, agent_id, by_host.get(agent_id, {}), ledger_of(), max_groups=max_groups)
        for rule in rules
        for agent_id in AGENTS
    ]


def by_fused(
    rules: list[Rule],
    rows: list[Row],
    edges: Sequence[int],
    *,
    use_numba: bool,
    max_groups: int | None,
    waits: bool = True,
) -> list[Outcome]:
    """Return what the fused engine makes of them, fed with slices that end at ``edges``.

    Where they do not wait for each other, each is judged alone.
    """
    engine = FusedEngine(rules, use_numba=use_numba)
    for piece in slices_of(rows, edges, Dictionary()):
        engine.feed(piece)
        if not waits:
            engine.snapshot()
    return engine.outcomes(ledger_of(), AGENTS, max_groups=max_groups)


def slices_of(rows: list[Row], edges: Sequence[int], dictionary: Dictionary) -> list[Slice]:
    """Return the rows of each host in slices that begin and end at ``edges``."""
    by_host: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_host[row["agent_id"]].append(row)
    pieces = []
    bounds = [0, *edges, 10 * RUN_US]
    for from_us, to_us in pairwise(bounds):
        for agent_id, own in by_host.items():
            inside = [row for row in own if from_us <= row["ts_us"] < to_us]
            tables = row_columns(inside, dictionary)
            by_time = {kind: joined([table]) for kind, table in tables.items()}
            pieces.append(Slice(agent_id, from_us, to_us, by_time))
    return pieces


def two_hosts(rows: list[Row], random: Random) -> list[Row]:
    """Return rows of a world, each seen by one of two hosts."""
    return [{**row, "agent_id": random.choice(AGENTS)} for row in rows]
