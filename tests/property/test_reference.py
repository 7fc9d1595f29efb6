"""The reference evaluator against a definition by brute force, on small worlds full of ties."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import pairwise
from random import Random
from statistics import median_low
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from rules.format import Rule
from rules.outcome import Group, Outcome
from rules.reference import group_rows, judge, matches
from rules.selector import parse_selector
from rules.telemetry.batch import Row
from rules.telemetry.ledger import Intervals, Ledger
from rules.telemetry.ndjson import canonical
from tests.rule_documents import Plain, document
from tests.small_worlds import (
    CONNECTION,
    MILLISECOND,
    RUN_US,
    any_kind,
    detections,
    periodics,
    sequences,
    steady_worlds,
    thresholds,
    worlds,
)

Key = tuple[Any, ...]


class Fired(NamedTuple):
    """What a group is made of; rows by their positions, which tell equal rows apart."""

    counted: set[int]
    shown: set[int]
    window: tuple[int, int] | None = None
    """None: from the first to the last row that counts."""
    measured: int | None = None


Found = dict[Key, Fired]


def ms(text: str) -> int:
    return int(text.removesuffix("ms")) * MILLISECOND


def holds_one(value: Any, operator: str, given_: Any) -> bool:  # noqa: ANN401 (any value)
    if operator == "is_null":
        return bool((value is None) == given_)
    if value is None:
        return False
    meaning: dict[str, Callable[[], bool]] = {
        "eq": lambda: value == given_,
        "ne": lambda: value != given_,
        "in": lambda: any(value == item for item in given_),
        "not_in": lambda: all(value != item for item in given_),
        "lt": lambda: value < given_,
        "le": lambda: value <= given_,
        "gt": lambda: value > given_,
        "ge": lambda: value >= given_,
        "starts_with": lambda: value[: len(given_)] == given_,
        "ends_with": lambda: value[-len(given_) :] == given_,
    }
    return meaning[operator]()


def holds(group: Plain, row: Row) -> bool:
    checks = [
        holds_one(row.get(column), operator, value)
        for column, predicate in group.items()
        for operator, value in (
            predicate.items() if isinstance(predicate, dict) else [("eq", predicate)]
        )
    ]
    return False not in checks


def selected(selector: Plain, rows: Iterable[Row]) -> list[tuple[int, Row]]:
    """Return selected rows with their positions, which tell equal rows apart."""
    return [
        (position, row)
        for position, row in enumerate(rows)
        if row["telemetry"] == selector["telemetry"]
        and holds(selector.get("where", {}), row)
        and ("any_of" not in selector or any(holds(group, row) for group in selector["any_of"]))
        and not any(holds(group, row) for group in selector.get("none_of", []))
    ]


def key_of(names: list[str], row: Row) -> Key:
    return tuple(row.get(name) for name in names)


def by_brute_force(detection: Plain, rows: list[Row]) -> Found:
    meaning = {
        "event": event_groups,
        "threshold": threshold_groups,
        "absence": absence_groups,
        "sequence": sequence_groups,
        "periodic": periodic_groups,
    }[detection["kind"]]
    return dict(meaning(detection, rows))


Groups = Iterable[tuple[Key, Fired]]


def in_groups(detection: Plain, chosen: list[tuple[int, Row]]) -> dict[Key, list[tuple[int, Row]]]:
    keys = {key_of(detection["group_by"], row) for _, row in chosen}
    return {
        key: [
            (position, row) for position, row in chosen if key_of(detection["group_by"], row) == key
        ]
        for key in keys
    }


def event_groups(detection: Plain, rows: list[Row]) -> Groups:
    for key, members in in_groups(detection, selected(detection["select"], rows)).items():
        positions = {position for position, _ in members}
        yield key, Fired(positions, positions)


def threshold_groups(detection: Plain, rows: list[Row]) -> Groups:
    """Try every window of the run, whatever moment it ends at."""
    within = ms(detection["within"])
    for key, members in in_groups(detection, selected(detection["select"], rows)).items():
        inside: set[int] = set()
        decisive: list[tuple[tuple[int, int], int]] = []
        for end in range(0, RUN_US + within + 1, MILLISECOND):
            window = [
                (position, row) for position, row in members if end - within < row["ts_us"] <= end
            ]
            measured = measure(detection, [row for _, row in window])
            if measured > limit_of(detection):
                inside |= {position for position, _ in window}
                decisive.append(((end - within, end), measured))
        if inside:
            yield key, Fired(inside, inside, *decisive[0])


def limit_of(detection: Plain) -> int:
    (limit,) = [detection[name]["gt"] for name in ("count", "distinct", "sum") if name in detection]
    return int(limit)


def measure(detection: Plain, window: list[Row]) -> int:
    if "count" in detection:
        return len(window)
    column = (detection.get("distinct") or detection["sum"])["column"]
    values = [row[column] for row in window if column in row]
    return len(set(values)) if "distinct" in detection else sum(values)


def absence_groups(detection: Plain, rows: list[Row]) -> Groups:
    names = detection["match_on"]
    chosen = [
        (position, row)
        for position, row in selected(detection["select"], rows)
        if None not in key_of(names, row)
        and not any(
            key_of(names, other) == key_of(names, row)
            for _, other in selected(detection["unless"], rows)
        )
    ]
    for key, members in in_groups(detection, chosen).items():
        positions = {position for position, _ in members}
        yield key, Fired(positions, positions)


def sequence_groups(detection: Plain, rows: list[Row]) -> Groups:
    names, within = detection["match_on"], ms(detection["within"])
    pairs = [
        (first, then)
        for first, before in selected(detection["first"], rows)
        for then, after in selected(detection["then"], rows)
        if None not in key_of(names, before)
        and key_of(names, before) == key_of(names, after)
        and before["ts_us"] < after["ts_us"] <= before["ts_us"] + within
    ]
    for key in {key_of(detection["group_by"], rows[then]) for _, then in pairs}:
        mine = [pair for pair in pairs if key_of(detection["group_by"], rows[pair[1]]) == key]
        thens = {then for _, then in mine}
        then_us = min(rows[then]["ts_us"] for then in thens)
        first_us = max(
            rows[first]["ts_us"] for first, then in mine if rows[then]["ts_us"] == then_us
        )
        shown = thens | {first for first, _ in mine}
        yield key, Fired(thens, shown, (first_us, then_us), then_us - first_us)


def periodic_groups(detection: Plain, rows: list[Row]) -> Groups:
    for key, members in in_groups(detection, selected(detection["select"], rows)).items():
        times = sorted({row["ts_us"] for _, row in members})
        if len(times) < detection["at_least"]:
            continue
        gaps = [later - earlier for earlier, later in pairwise(times)]
        middle = median_low(gaps)
        allowed = Fraction(str(detection["jitter"])) * middle
        steady = [gap for gap in gaps if middle - allowed <= gap <= middle + allowed]
        wanted = ms(detection["every"]["min"]) <= middle <= ms(detection["every"]["max"])
        if wanted and Fraction(len(steady), len(gaps)) >= Fraction(9, 10):
            positions = {position for position, _ in members}
            yield key, Fired(positions, positions, measured=middle)


def as_group(detection: Plain, rows: list[Row], key: Key, fired: Fired) -> Group:
    shown = [rows[position] for position in fired.shown]
    ordered = sorted(shown, key=lambda row: (row["ts_us"], canonical(row)))
    evidence = ordered if len(ordered) <= 20 else ordered[:10] + ordered[-10:]
    times = sorted(rows[position]["ts_us"] for position in fired.counted)
    return Group(
        key=dict(zip(detection["group_by"], key, strict=True)),
        count=len(times),
        first_seen_us=times[0],
        last_seen_us=times[-1],
        evidence=tuple(evidence),
        and_more=len(ordered) - len(evidence),
        window=fired.window or (times[0], times[-1]),
        measured=fired.measured,
        buckets=((0, len(times)),),  # the whole run is shorter than a minute
    )


def expected(detection: Plain, rows: list[Row]) -> list[Group]:
    groups = [
        as_group(detection, rows, key, fired)
        for key, fired in by_brute_force(detection, rows).items()
    ]
    return sorted(groups, key=lambda group: (group.first_seen_us, canonical(group.key)))


def judged(detection: Plain, rows: list[Row], *, max_groups: int | None = None) -> Outcome:
    ledger = Ledger(0, RUN_US)
    ledger.add_host("i-1", watched=Intervals([(0, RUN_US)]))
    rule = Rule.model_validate(document(detection))
    by_kind = group_rows(rows).get("i-1", {})
    return judge(rule, "i-1", by_kind, ledger, max_groups=max_groups)


@given(any_kind, worlds)
def test_selector_equals_brute_force(selector: Plain, rows: list[Row]) -> None:
    parsed = parse_selector(selector)

    assert [row for row in rows if matches(parsed, row)] == [
        row for _, row in selected(selector, rows)
    ]


@given(any_kind, worlds)
def test_selected_row_has_a_pinned_value(selector: Plain, rows: list[Row]) -> None:
    pinned = parse_selector(selector).pinned

    for _, row in selected(selector, rows):
        assert all(row[column] in values for column, values in pinned.items())


@given(detections, worlds)
def test_outcome_equals_brute_force(detection: Plain, rows: list[Row]) -> None:
    outcome = judged(detection, rows)

    assert list(outcome.groups) == expected(detection, rows)
    assert outcome.outcome == ("findings" if outcome.groups else "clean")


@given(sequences, worlds)
def test_sequence_equals_brute_force(detection: Plain, rows: list[Row]) -> None:
    """Sequences are the intricate kind, and get examples of their own."""
    assert list(judged(detection, rows).groups) == expected(detection, rows)


@given(thresholds, worlds)
def test_threshold_equals_brute_force(detection: Plain, rows: list[Row]) -> None:
    assert list(judged(detection, rows).groups) == expected(detection, rows)


@given(periodics, steady_worlds)
def test_periodic_equals_brute_force(detection: Plain, rows: list[Row]) -> None:
    everything = {**detection, "select": {"telemetry": "connection"}}

    assert list(judged(everything, rows).groups) == expected(everything, rows)


@given(detections, worlds, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(detection: Plain, rows: list[Row], random: Random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)

    assert judged(detection, shuffled) == judged(detection, rows)


@given(detections, worlds, st.integers(1, 4))
def test_cap_keeps_the_earliest_groups_and_counts_the_others(
    detection: Plain, rows: list[Row], max_groups: int
) -> None:
    everything = judged(detection, rows).groups
    capped = judged(detection, rows, max_groups=max_groups).groups

    assert capped[:max_groups] == everything[:max_groups]
    rest = everything[max_groups:]
    if not rest:
        assert capped == everything
        return
    (closing,) = capped[max_groups:]
    assert closing == Group(
        key={},
        count=len(rest),
        first_seen_us=min(group.first_seen_us for group in rest),
        last_seen_us=max(group.last_seen_us for group in rest),
        evidence=(),
        and_more=len(rest),
        window=(closing.first_seen_us, closing.last_seen_us),
    )
    assert closing.is_closing
    assert not any(group.is_closing for group in everything)


@given(detections, worlds)
def test_null_written_out_is_the_same_as_a_missing_key(detection: Plain, rows: list[Row]) -> None:
    nulls = dict.fromkeys(CONNECTION)
    written_out = [
        {name: None for name in nulls if row["telemetry"] == "connection"} | row for row in rows
    ]

    assert judged(detection, written_out) == judged(detection, rows)


@given(detections, worlds, st.integers(0, 1_000_000))
def test_share_watched_decides_what_silence_means(
    detection: Plain, rows: list[Row], watched_ppm: int
) -> None:
    ledger = Ledger(0, 1_000_000)
    ledger.add_host("i-1", watched=Intervals([(0, watched_ppm)]))
    rule = Rule.model_validate(document(detection))

    outcome = judge(rule, "i-1", group_rows(rows).get("i-1", {}), ledger)

    absence = detection["kind"] == "absence"
    enough = watched_ppm >= (950_000 if absence else 500_000)
    fires = bool(by_brute_force(detection, rows))
    if fires and (enough or not absence):
        assert (outcome.outcome, outcome.reason) == ("findings", None)
    elif enough:
        assert (outcome.outcome, outcome.reason) == ("clean", None)
    else:
        assert outcome.outcome == "not_evaluated"
        assert outcome.reason
        assert not outcome.groups
    assert outcome.coverage == watched_ppm / 1_000_000
