"""Second opinion: what the engine finds against what the rules' SQL finds in the same rows.

In: the slices of a run or of a recording, and rules. Out: every group on which the two do not say
the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, Protocol

from analyzer.engine import FusedEngine
from analyzer.errors import AnalyzerError
from analyzer.sql import compile_rule
from analyzer.sql.parquet import ParquetFolder
from rules.detection import AbsenceDetection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb

    from analyzer.telemetry.slices import Slice
    from rules.columns import Value
    from rules.format import Rule
    from rules.outcome import Group, Outcome
    from rules.telemetry.ledger import Ledger


class Place(NamedTuple):
    """Where a rule fires: the host, and the values of ``group_by``."""

    agent_id: str
    values: tuple[Value | None, ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """What both say of a group, named as SQL names its columns."""

    count: int
    first_seen_us: int
    last_seen_us: int
    window_from_us: int
    window_to_us: int
    measured: int | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A group of which they say different things; None = it does not fire at all."""

    rule: Rule
    place: Place
    by_engine: Numbers | None
    by_sql: Numbers | None


@dataclass(frozen=True, slots=True)
class Opinions:
    """What came of comparing.

    Attributes:
        pairs: Rules on hosts that were compared.
        unclaimed: Absence on hosts that were not watched enough: rows cannot tell.
        groups: Groups on which both agree.
    """

    pairs: int
    unclaimed: int
    groups: int
    differences: tuple[Difference, ...]


class Sealed(Protocol):
    """Telemetry that is complete."""

    @property
    def ledger(self) -> Ledger:
        """Return what was watched, once every slice was read."""
        ...

    def __iter__(self) -> Iterator[Slice]:
        """Yield the slices of every host."""
        ...


def second_opinion(sealed: Sealed, rules: Sequence[Rule]) -> Opinions:
    """Judge telemetry by the engine and by SQL.

    Raises:
        AnalyzerError: The telemetry cannot be read, there is no room for it in temporary files, or
            DuckDB is missing.
    """
    try:
        with TemporaryDirectory(prefix="proctor-") as folder:
            return _compared(sealed, rules, Path(folder))
    except OSError as error:
        raise AnalyzerError(f"cannot write temporary files: {error.strerror or error}") from error


def _compared(sealed: Sealed, rules: Sequence[Rule], folder: Path) -> Opinions:
    connection = _connect(folder)
    engine = FusedEngine(rules)
    with ParquetFolder(folder) as files:
        for piece in sealed:
            engine.feed(piece)
            files.write(piece)
    outcomes = engine.outcomes(sealed.ledger, sealed.ledger.agents, max_groups=None)
    differences: list[Difference] = []
    agreed = unclaimed = 0
    for rule in rules:
        own = [outcome for outcome in outcomes if outcome.rule_id == rule.id]
        blind = _unclaimed(rule, own)
        unclaimed += len(blind)
        by_engine = dict(_by_engine(own))
        by_sql = {
            place: numbers
            for place, numbers in _by_sql(connection, rule, folder)
            if place.agent_id not in blind
        }
        differing = list(_differing(rule, by_engine, by_sql))
        agreed += len(by_engine.keys() | by_sql.keys()) - len(differing)
        differences += differing
    return Opinions(len(outcomes) - unclaimed, unclaimed, agreed, tuple(differences))


def _connect(folder: Path) -> duckdb.DuckDBPyConnection:
    try:
        import duckdb
    except ImportError as error:
        raise AnalyzerError(
            "a second opinion needs DuckDB; pip install 'proctor[sql]' brings it"
        ) from error
    return duckdb.connect(config={"temp_directory": str(folder / "spilled")})


def _unclaimed(rule: Rule, outcomes: Sequence[Outcome]) -> set[str]:
    if not isinstance(rule.detection, AbsenceDetection):
        return set()
    return {outcome.agent_id for outcome in outcomes if outcome.outcome == "not_evaluated"}


def _by_engine(outcomes: Sequence[Outcome]) -> Iterator[tuple[Place, Numbers]]:
    for outcome in outcomes:
        for group in outcome.groups:
            yield Place(outcome.agent_id, tuple(group.key.values())), _numbers(group)


def _numbers(group: Group) -> Numbers:
    return Numbers(
        group.count, group.first_seen_us, group.last_seen_us, *group.window, group.measured
    )


def _by_sql(
    connection: duckdb.DuckDBPyConnection, rule: Rule, folder: Path
) -> Iterator[tuple[Place, Numbers]]:
    for agent_id, *values in connection.execute(compile_rule(rule, str(folder))).fetchall():
        keys = len(rule.group_by)
        yield Place(agent_id, tuple(values[:keys])), Numbers(*values[keys:])


def _differing(
    rule: Rule, by_engine: Mapping[Place, Numbers], by_sql: Mapping[Place, Numbers]
) -> Iterator[Difference]:
    for place in sorted(by_engine.keys() | by_sql.keys(), key=repr):
        if by_engine.get(place) != by_sql.get(place):
            yield Difference(rule, place, by_engine.get(place), by_sql.get(place))
