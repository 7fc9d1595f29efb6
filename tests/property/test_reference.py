"""The reference evaluator against a definition by brute force, on small worlds full of ties.

Times are few and close, values few and often null, so that equal times, window edges and null keys
are the rule and not the exception.
"""

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import pairwise
from random import Random
from statistics import median_low
from typing import Any

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

MILLISECOND = 1_000
LAST_MS = 12
RUN_US = (LAST_MS + 1) * MILLISECOND
COLUMNS: dict[str, list[Any]] = {
    "process_name": ["a", "b"],
    "pid": [1, 2],
    "local_port": [80, 81],
    "protocol": ["tcp", "udp"],
}
CONNECTION: dict[str, list[Any]] = {**COLUMNS, "bytes_sent": [0, 1, 5], "direction": ["inbound"]}

Key = tuple[Any, ...]
Found = dict[Key, tuple[list[Row], list[Row]]]
"""Group → the rows that count, the rows that are evidence."""


def rows_of(telemetry: str, columns: dict[str, list[Any]]) -> st.SearchStrategy[Row]:
    values = st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(known) for name, known in columns.items()}
    )
    times = st.integers(0, LAST_MS).map(lambda ms: ms * MILLISECOND)
    return st.builds(
        lambda ts_us, row: {"telemetry": telemetry, "ts_us": ts_us, "agent_id": "i-1", **row},
        times,
        values,
    )


any_row = st.one_of(rows_of("connection", CONNECTION), rows_of("listener", COLUMNS))
worlds = st.one_of(st.lists(any_row, max_size=8), st.lists(any_row, min_size=12, max_size=24))
durations = st.integers(1, 6).map(lambda ms: f"{ms}ms")


def predicates_of(known: list[Any]) -> st.SearchStrategy[Any]:
    value = st.sampled_from(known)
    some = st.lists(value, min_size=1, max_size=2)
    operators: dict[str, st.SearchStrategy[Any]] = {
        "eq": value,
        "ne": value,
        "in": some,
        "not_in": some,
        "is_null": st.booleans(),
    }
    if isinstance(known[0], int):
        operators |= dict.fromkeys(("lt", "le", "gt", "ge"), value)
    elif known[0] == "a":
        operators |= dict.fromkeys(("starts_with", "ends_with"), value)
    compared = st.sampled_from(sorted(operators)).flatmap(
        lambda name: st.fixed_dictionaries({name: operators[name]})
    )
    return st.one_of(value, compared, st.builds(lambda x, y: {**x, **y}, compared, compared))


groups_of_conditions = st.fixed_dictionaries(
    {}, optional={name: predicates_of(known) for name, known in COLUMNS.items()}
).filter(bool)
conditions = st.one_of(
    st.just({}),  # often none at all, so that rules fire
    st.fixed_dictionaries({"none_of": st.lists(groups_of_conditions, min_size=1, max_size=1)}),
    st.fixed_dictionaries(
        {},
        optional={
            "where": groups_of_conditions,
            "any_of": st.lists(groups_of_conditions, min_size=1, max_size=2),
            "none_of": st.lists(groups_of_conditions, min_size=1, max_size=2),
        },
    ),
)


def selectors(*kinds: str) -> st.SearchStrategy[Plain]:
    return st.builds(
        lambda kind, parts: {"telemetry": kind, **parts}, st.sampled_from(kinds), conditions
    )


any_kind = selectors("connection", "listener")
columns: st.SearchStrategy[list[str]] = st.one_of(
    st.just([]), st.lists(st.sampled_from(sorted(COLUMNS)), unique=True, max_size=2)
)
match_on = st.lists(st.sampled_from(sorted(COLUMNS)), unique=True, min_size=1, max_size=2)

events = st.fixed_dictionaries({"kind": st.just("event"), "select": any_kind, "group_by": columns})
measures = st.one_of(
    st.fixed_dictionaries({"count": st.fixed_dictionaries({"gt": st.integers(0, 4)})}),
    st.fixed_dictionaries(
        {
            "distinct": st.fixed_dictionaries(
                {"column": st.sampled_from(sorted(COLUMNS)), "gt": st.integers(0, 2)}
            )
        }
    ),
    st.fixed_dictionaries(
        {"sum": st.fixed_dictionaries({"column": st.just("bytes_sent"), "gt": st.integers(0, 10)})}
    ),
)
thresholds = st.builds(
    lambda measure, detection: {**detection, **measure},
    measures,
    st.fixed_dictionaries(
        {
            "kind": st.just("threshold"),
            "select": selectors("connection"),
            "group_by": columns,
            "within": durations,
        }
    ),
)
absences = st.fixed_dictionaries(
    {
        "kind": st.just("absence"),
        "select": any_kind,
        "unless": any_kind,
        "match_on": match_on,
        "group_by": columns,
    }
)
sequences = st.fixed_dictionaries(
    {
        "kind": st.just("sequence"),
        "first": any_kind,
        "then": any_kind,
        "match_on": match_on,
        "within": durations,
        "group_by": columns,
    }
)
periodics = st.fixed_dictionaries(
    {
        "kind": st.just("periodic"),
        "select": any_kind,
        "group_by": columns,
        "at_least": st.integers(6, 8),
        "jitter": st.sampled_from([0, 0.25, 0.333333, 0.5]),
        "every": st.builds(
            lambda shortest, more: {"min": f"{shortest}ms", "max": f"{shortest + more}ms"},
            st.integers(0, 3),
            st.integers(0, 3),
        ),
    }
)
detections = st.one_of(events, thresholds, absences, sequences, periodics)


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
    counted = {
        "event": event_rows,
        "threshold": threshold_rows,
        "absence": absence_rows,
        "sequence": sequence_rows,
        "periodic": periodic_rows,
    }[detection["kind"]](detection, rows)
    found: Found = {}
    for key, positions, shown in counted:
        counting, evidence = found.setdefault(key, ([], []))
        counting.extend(rows[position] for position in sorted(positions))
        evidence.extend(rows[position] for position in sorted(shown))
    return found


Counted = Iterable[tuple[Key, set[int], set[int]]]


def in_groups(detection: Plain, chosen: list[tuple[int, Row]]) -> dict[Key, list[tuple[int, Row]]]:
    keys = {key_of(detection["group_by"], row) for _, row in chosen}
    return {
        key: [
            (position, row) for position, row in chosen if key_of(detection["group_by"], row) == key
        ]
        for key in keys
    }


def event_rows(detection: Plain, rows: list[Row]) -> Counted:
    for key, members in in_groups(detection, selected(detection["select"], rows)).items():
        positions = {position for position, _ in members}
        yield key, positions, positions


def threshold_rows(detection: Plain, rows: list[Row]) -> Counted:
    """Try every window of the run, whatever moment it ends at."""
    within = ms(detection["within"])
    for key, members in in_groups(detection, selected(detection["select"], rows)).items():
        inside: set[int] = set()
        for end in range(0, RUN_US + within + 1, MILLISECOND):
            window = [
                (position, row) for position, row in members if end - within < row["ts_us"] <= end
            ]
            if crosses(detection, [row for _, row in window]):
                inside |= {position for position, _ in window}
        if inside:
            yield key, inside, inside


def crosses(detection: Plain, window: list[Row]) -> bool:
    if "count" in detection:
        return bool(len(window) > detection["count"]["gt"])
    measure = detection.get("distinct") or detection["sum"]
    values = [row[measure["column"]] for row in window if measure["column"] in row]
    amount = len(set(values)) if "distinct" in detection else sum(values)
    return bool(amount > measure["gt"])


def absence_rows(detection: Plain, rows: list[Row]) -> Counted:
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
        yield key, positions, positions


def sequence_rows(detection: Plain, rows: list[Row]) -> Counted:
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
        yield key, thens, thens | {first for first, _ in mine}


def periodic_rows(detection: Plain, rows: list[Row]) -> Counted:
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
            yield key, positions, positions


def as_group(detection: Plain, key: Key, counted: list[Row], shown: list[Row]) -> Group:
    ordered = sorted(shown, key=lambda row: (row["ts_us"], canonical(row)))
    evidence = ordered if len(ordered) <= 20 else ordered[:10] + ordered[-10:]
    times = sorted(row["ts_us"] for row in counted)
    return Group(
        key=dict(zip(detection["group_by"], key, strict=True)),
        count=len(counted),
        first_seen_us=times[0],
        last_seen_us=times[-1],
        evidence=tuple(evidence),
        and_more=len(ordered) - len(evidence),
    )


def expected(detection: Plain, rows: list[Row]) -> list[Group]:
    groups = [
        as_group(detection, key, counted, shown)
        for key, (counted, shown) in by_brute_force(detection, rows).items()
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


steady_worlds = st.builds(
    lambda start, gap, nudges: [
        {
            "telemetry": "connection",
            "ts_us": (start + index * gap + nudge) * MILLISECOND,
            "agent_id": "i-1",
        }
        for index, nudge in enumerate(nudges)
    ],
    st.integers(0, 3),
    st.integers(0, 4),
    st.lists(st.sampled_from([0, 0, 0, 0, 1]), min_size=5, max_size=14),
)


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
