"""Witnesses alone make the finding again: generated rules of every kind, and every shipped rule."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.detection import AbsenceDetection, EventDetection, ThresholdDetection
from rules.format import Rule
from rules.loader import load_packages
from rules.outcome import Group
from rules.reference import group_rows, judge
from rules.rehearsal import Stage, stages
from rules.telemetry.batch import Row
from rules.telemetry.kinds import KINDS, Kind
from rules.telemetry.ledger import Intervals, Ledger
from rules.witness import witnesses
from tests.rule_documents import Plain, rule
from tests.small_worlds import detections, periodics, sequences, steady_worlds, worlds
from tests.strategies import values_of

SHIPPED = [item for package in load_packages() for item in package.rules]
HOUR_US = 3_600_000_000
SPARABLE = (EventDetection, ThresholdDetection, AbsenceDetection)
"""Kinds whose witnesses are as few as can be."""


def groups_of(item: Rule, rows: Sequence[Row], *, run_us: int = HOUR_US) -> tuple[Group, ...]:
    ledger = Ledger(0, run_us)
    ledger.add_host("i-1", watched=Intervals([(0, run_us)]))
    rows_by_kind = group_rows(rows).get("i-1", {})
    return judge(item, "i-1", rows_by_kind, ledger, max_groups=None).groups


def reproduce(item: Rule, rows: list[Row]) -> None:
    for group in groups_of(item, rows):
        few = witnesses(item.detection, group, group_rows(rows)["i-1"])

        again = [found for found in groups_of(item, few) if found.key == group.key]

        assert len(again) == 1
        assert len(few) <= len(rows)
        if isinstance(item.detection, SPARABLE):
            for spared in range(len(few)):
                others = groups_of(item, few[:spared] + few[spared + 1 :])
                assert all(found.key != group.key for found in others)
        elif item.detection.kind == "sequence" and not group.and_more:
            assert again == [group]


@given(detections, worlds)
def test_witnesses_reproduce_the_finding(detection: Plain, rows: list[Row]) -> None:
    reproduce(rule(detection), rows)


@given(sequences, worlds)
def test_witnesses_of_sequences_reproduce_the_finding(detection: Plain, rows: list[Row]) -> None:
    reproduce(rule(detection), rows)


@given(periodics, steady_worlds)
def test_witnesses_of_a_pace_reproduce_the_finding(detection: Plain, rows: list[Row]) -> None:
    reproduce(rule({**detection, "select": {"telemetry": "connection"}}), rows)


def rows_of(kind: Kind) -> st.SearchStrategy[Row]:
    columns = {column.name: values_of(column) for column in kind.columns.values()}
    return st.fixed_dictionaries(
        {"telemetry": st.just(kind.name), "ts_us": st.integers(0, HOUR_US)}, optional=columns
    )


@settings(max_examples=50)
@pytest.mark.parametrize("item", SHIPPED, ids=lambda item: item.id)
@given(data=st.data())
def test_witnesses_reproduce_the_findings_of_a_shipped_rule(
    item: Rule, data: st.DataObject
) -> None:
    """Among its own test events, some of them at other times and again, and foreign events."""
    worlds_ = [rows_in(stage) for stage in stages(item)]
    own = st.sampled_from([row for rows in worlds_ for row in rows])
    foreign = st.one_of([rows_of(KINDS[kind]) for kind in item.telemetry])
    moved = st.builds(lambda row, ts_us: {**row, "ts_us": ts_us}, own, st.integers(0, HOUR_US))
    more = data.draw(st.lists(st.one_of(moved, foreign), max_size=8))
    rows = [*data.draw(st.sampled_from(worlds_)), *more]

    reproduce(item, [{**row, "agent_id": "i-1"} for row in rows])


def rows_in(stage: Stage) -> list[Row]:
    return [row for host in stage.rows.values() for rows in host.values() for row in rows]
