"""Agreement: what the parts of one rule file must say of each other.

In: the plain map of a rule file, right or wrong in other ways. Out: faults that no single part can
see, such as a ``group_by`` column that the selected kind does not have. It reads plain values, so
that these faults are reported together with all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rules.cases import AGENT_ID, DEFAULT_DURATION_US, MAX_REPEAT
from rules.columns import NUMBERS, column_problem, shown, suggestion, value_problem
from rules.durations import format_duration, parse_duration
from rules.faults import Fault, Location
from rules.telemetry.kinds import KINDS, Kind

MEASURES: Final = ("count", "distinct", "sum")
_SELECTORS: Final = {"absence": ("select", "unless"), "sequence": ("then", "first")}
"""Keys of a detection's selectors where it has two; ``group_by`` speaks of the first."""


def agreement_faults(plain: object) -> list[Fault]:
    """Return every disagreement between parts of a rule file."""
    if not isinstance(plain, dict):
        return []
    faults = list(_null_faults(plain, ()))
    detection = _map(plain.get("detection"))
    kinds = [_kind(detection.get(key)) for key in selector_keys(detection)]
    faults.extend(_detection_faults(detection, kinds))
    group_by = _names(detection.get("group_by"))
    faults.extend(_identity_faults(plain, group_by))
    for index, case in enumerate(_list(plain.get("tests"))):
        faults.extend(_case_faults(_map(case), ("tests", index), kinds[0], group_by))
    return faults


def selector_keys(detection: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of a detection's selectors, the grouped one first."""
    kind = detection.get("kind")
    return _SELECTORS.get(kind, ("select",)) if isinstance(kind, str) else ("select",)


def _null_faults(plain: object, place: Location) -> Iterator[Fault]:
    if plain is None:
        yield place, "is null; give it a value or leave the key out"
    elif isinstance(plain, dict):
        for key, value in plain.items():
            # Rows may have nulls; the selector itself says what to write instead of one.
            if key not in ("events", "expect", "where", "any_of", "none_of"):
                yield from _null_faults(value, (*place, key))
    elif isinstance(plain, list):
        for index, value in enumerate(plain):
            yield from _null_faults(value, (*place, index))


def _detection_faults(detection: Mapping[str, Any], kinds: list[Kind | None]) -> Iterator[Fault]:
    grouped = kinds[0]
    yield from _column_faults(detection, "group_by", kinds[:1])
    yield from _column_faults(detection, "match_on", kinds)
    if detection.get("kind") == "threshold":
        yield from _measure_faults(detection, grouped)
    every = _map(detection.get("every"))
    shortest, longest = _duration(every.get("min")), _duration(every.get("max"))
    if shortest is not None and longest is not None and shortest > longest:
        yield ("detection", "every"), "min is above max"


def _column_faults(
    detection: Mapping[str, Any], key: str, kinds: list[Kind | None]
) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, name in enumerate(_list(detection.get(key))):
        place = ("detection", key, index)
        if not isinstance(name, str):
            continue
        if name == "agent_id":
            yield place, "agent_id always comes first and is never written"
        elif name in seen:
            yield place, f"{shown(name)} is listed twice"
        else:
            seen.add(name)
            problems = [column_problem(kind, name) for kind in kinds if kind is not None]
            told = [problem for problem in problems if problem is not None]
            if told:
                yield place, told[0]
            elif len(kinds) > 1:
                yield from _type_faults(name, kinds, place)


def _type_faults(name: str, kinds: list[Kind | None], place: Location) -> Iterator[Fault]:
    columns = [kind.columns[name] for kind in kinds if kind is not None]
    if len({(column.type, column.closed) for column in columns}) > 1:
        names = " and ".join(kind.name for kind in kinds if kind is not None)
        yield place, f"{name} holds different things in {names}"


def _measure_faults(detection: Mapping[str, Any], kind: Kind | None) -> Iterator[Fault]:
    given = [key for key in MEASURES if key in detection]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        yield ("detection",), f"needs exactly one of count, distinct and sum, and has {found}"
    for key in ("distinct", "sum"):
        name = _map(detection.get(key)).get("column")
        if kind is None or not isinstance(name, str):
            continue
        problem = column_problem(kind, name)
        if problem is None and key == "sum" and kind.columns[name].type not in NUMBERS:
            problem = f"{name} holds no numbers to sum"
        if problem is not None:
            yield ("detection", key, "column"), problem


def _identity_faults(plain: Mapping[str, Any], group_by: list[str]) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, name in enumerate(_list(plain.get("identity"))):
        place = ("identity", index)
        if not isinstance(name, str):
            continue
        if name not in group_by:
            yield place, f"{shown(name)} is not in group_by{suggestion(name, group_by)}"
        elif name in seen:
            yield place, f"{shown(name)} is listed twice"
        seen.add(name)


def _case_faults(
    case: Mapping[str, Any], place: Location, kind: Kind | None, group_by: list[str]
) -> Iterator[Fault]:
    for index, expected in enumerate(_list(case.get("expect"))):
        for name, value in _map(expected).items():
            problem = _expected_problem(name, value, kind, group_by)
            if problem is not None:
                yield (*place, "expect", index, name), problem
    end_us = _duration(case["duration"]) if "duration" in case else DEFAULT_DURATION_US
    rows = 0
    for index, event in enumerate(map(_map, _list(case.get("events")))):
        at_us, every_us = _duration(event.get("at")), _duration(event.get("every"))
        repeat = event.get("repeat", 1)
        if at_us is None or not end_us or type(repeat) is not int or repeat > MAX_REPEAT:
            continue  # a fault of its own
        rows += repeat
        if at_us + (repeat - 1) * (every_us or 0) > end_us:
            text = f"lies after the end of the run, {format_duration(end_us)}; set duration"
            yield (*place, "events", index, "at"), text
    if rows > MAX_REPEAT:
        yield (*place, "events"), f"make {rows} rows; a test may have {MAX_REPEAT}"


def _expected_problem(
    name: str, value: object, kind: Kind | None, group_by: list[str]
) -> str | None:
    if name == "agent_id":
        is_agent = isinstance(value, str) and AGENT_ID.fullmatch(value)
        return None if is_agent else f"{shown(value)} is no agent id: letters, digits, _ and -"
    if name not in group_by:
        return f"{shown(name)} is not in group_by{suggestion(name, group_by)}"
    if kind is None or name not in kind.columns or value is None:
        return None
    return value_problem(kind.columns[name], value)


def _kind(selector: object) -> Kind | None:
    name = _map(selector).get("telemetry")
    return KINDS.get(name) if isinstance(name, str) else None


def _duration(plain: object) -> int | None:
    try:
        return parse_duration(plain)
    except ValueError:
        return None


def _map(plain: object) -> dict[str, Any]:
    return plain if isinstance(plain, dict) else {}


def _list(plain: object) -> list[Any]:
    return plain if isinstance(plain, list) else []


def _names(plain: object) -> list[str]:
    return [name for name in _list(plain) if isinstance(name, str)]
