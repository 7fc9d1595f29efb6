"""Small worlds full of ties, and detections that fire in them, for tests of every evaluator.

Times are few and close, values few and often null, so that equal times, window edges and null keys
are the rule and not the exception.
"""

from typing import Any

from hypothesis import strategies as st

from rules.telemetry.batch import Row
from tests.rule_documents import Plain

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
