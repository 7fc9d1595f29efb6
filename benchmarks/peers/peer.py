"""Peer: what every other engine must be able to do, and the data it may take.

In: a fleet, or the first hosts of it. Out: Parquet files or rows, and which columns rules read.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from benchmarks.fleet.parquet import parquet_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.fleet.store import Fleet
    from rules.format import Rule
    from rules.outcome import Outcome
    from rules.selector import Selector
    from rules.telemetry.batch import Row

Counts = dict[str, int]
"""Firing groups by rule, over all hosts."""
STATELESS: Final = frozenset({"event"})
ALL_KINDS: Final = frozenset({"event", "threshold", "absence", "sequence"})


class Peer(Protocol):
    """An engine that is not ours. One of its objects judges once, in a process of its own."""

    name: ClassVar[str]
    package: ClassVar[str | None]
    """What pip installs; None where Python itself is enough."""
    kinds: ClassVar[frozenset[str]]
    """Detections that it can judge."""
    sample_events: ClassVar[int | None]
    """Events that it is given; None = all."""

    def prepare(self, rules: Sequence[Rule]) -> None:
        """Compile rules."""
        ...

    def load(self, data: PeerData) -> None:
        """Take the data in; what this costs is told apart from judging."""
        ...

    def run(self) -> Counts:
        """Judge everything, and return what fires."""
        ...


@dataclass(frozen=True, slots=True)
class PeerData:
    """A fleet, or its first hosts.

    Attributes:
        fleet: Where it lies.
        hosts: How many; None = all.
    """

    fleet: Fleet
    hosts: int | None = None

    @property
    def parquet(self) -> Path:
        """Return the folder with one Parquet file per kind."""
        return parquet_folder(self.fleet, hosts=self.hosts)

    def rows(self) -> Iterator[Row]:
        """Yield rows host by host, each host's by time, of all kinds."""
        pieces = self.fleet.pieces(max_events=1 << 40, hosts=self.hosts)
        for piece in self.fleet.streamed(pieces):
            yield from sorted(piece.rows(), key=_time)


def needed_columns(rules: Iterable[Rule]) -> dict[str, list[str]]:
    """Return the columns that rules read, by kind, with the agent and the time."""
    needed: dict[str, dict[str, None]] = {}
    for rule in rules:
        detection = rule.detection
        for place, selector in enumerate(detection.selectors):
            columns = needed.setdefault(selector.telemetry, {"agent_id": None, "ts_us": None})
            columns.update(dict.fromkeys(condition_columns(selector)))
            columns.update(dict.fromkeys(getattr(detection, "match_on", ())))
            if place == 0:
                columns.update(dict.fromkeys(detection.group_by))
        for measure in (getattr(detection, "distinct", None), getattr(detection, "sum", None)):
            if measure is not None:
                needed[detection.selectors[0].telemetry][measure.column] = None
    return {kind: list(columns) for kind, columns in needed.items()}


def condition_columns(selector: Selector) -> list[str]:
    """Return the columns that a selector asks about."""
    groups = (selector.where, *selector.any_of, *selector.none_of)
    return list(dict.fromkeys(condition.column for group in groups for condition in group))


def outcome_counts(rules: Iterable[Rule], outcomes: Iterable[Outcome]) -> Counts:
    """Return our own outcomes as counts of groups; the closing one stands for many."""
    counts = Counter({rule.id: 0 for rule in rules})
    for outcome in outcomes:
        for group in outcome.groups:
            counts[outcome.rule_id] += group.count if group.is_closing else 1
    return dict(counts)


def _time(row: Row) -> int:
    return int(row["ts_us"])
