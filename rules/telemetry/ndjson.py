"""Events as text: one JSON object per line, read strictly, written canonically.

In: a line of bytes. Out: an event row, a capture header or a coverage row; or ``EventError`` with
what is wrong. Source: the events contract, format 1.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from rules.errors import EventError
from rules.telemetry.batch import Coverage, Row
from rules.telemetry.kinds import (
    INT64_MAX,
    INT64_MIN,
    KINDS,
    PORT_MAX,
    SENSOR_STATES,
    Column,
    ColumnType,
)
from rules.telemetry.scope import plain_address

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
_KEY = re.compile(rb'"\s*:')
_SHOWN_CHARACTERS = 100  # of a wrong value, in an error
_BASE_KEYS = ("telemetry", "ts_us", "agent_id")


@dataclass(frozen=True, slots=True)
class Capture:
    """The header of a recording: which host, which interval, which kinds were collected."""

    agent_id: str
    from_us: int
    to_us: int
    kinds: tuple[str, ...]


def decode_line(line: bytes) -> Row | Capture | Coverage:
    """Return what one line says; a row may lack ``agent_id``.

    Raises:
        EventError: The line breaks the contract; the text says how.
    """
    return decode_tagged(line)[1]


def decode_tagged(line: bytes) -> tuple[str | None, Row | Capture | Coverage]:
    """Return ``(agent id or None, what the line says)``.

    Raises:
        EventError: The line breaks the contract; the text says how.
    """
    return decode_fields(decode_object(line))


def decode_fields(fields: dict[str, Any]) -> tuple[str | None, Row | Capture | Coverage]:
    """Return ``(agent id or None, what an object that was read from JSON says)``.

    Raises:
        EventError: The object breaks the contract; the text says how.
    """
    kind_name = fields.get("telemetry")
    if kind_name == "capture":
        header = _capture(fields)
        return header.agent_id, header
    if kind_name == "coverage":
        return _coverage(fields)
    return _event(fields, kind_name)


def encode_row(row: Mapping[str, Any]) -> bytes:
    """Return one row as canonical JSON without a newline: keys sorted, nulls left out."""
    return canonical({key: value for key, value in row.items() if value is not None})


def encode_capture(header: Capture) -> bytes:
    """Return a capture header as canonical JSON without a newline."""
    return canonical(
        {
            "telemetry": "capture",
            "format": FORMAT,
            "agent_id": header.agent_id,
            "from_us": header.from_us,
            "to_us": header.to_us,
            "kinds": sorted(header.kinds),
        }
    )


def encode_coverage(agent_id: str, row: Coverage) -> bytes:
    """Return a coverage row as canonical JSON without a newline."""
    return encode_row(
        {
            "telemetry": "coverage",
            "agent_id": agent_id,
            "sensor": row.sensor,
            "kinds": sorted(row.kinds),
            "from_us": row.from_us,
            "to_us": row.to_us,
            "state": row.state,
            "method": row.method,
            "sampled_one_in": row.sampled_one_in,
            "lost": dict(row.lost or {}),
            "cpu_ms": row.cpu_ms,
            "rss_bytes": row.rss_bytes,
        }
    )


def canonical(value: Any) -> bytes:  # noqa: ANN401 (any JSON value)
    """Return canonical JSON: keys sorted, no spaces, no ASCII escapes."""
    return msgspec.json.encode(value, order="deterministic")


def decode_object(line: bytes) -> dict[str, Any]:
    """Return one JSON object, with no key twice on any level.

    Raises:
        EventError: It is none.
    """
    try:
        fields = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"not JSON: {error}"
        raise EventError(message) from error
    except RecursionError as error:
        message = "not JSON: nested too deeply"
        raise EventError(message) from error
    if type(fields) is not dict:
        message = "not a JSON object"
        raise EventError(message)
    # Each key ends in '":'. More of them than keys means a duplicate, or text that looks like one.
    if len(_KEY.findall(line)) != len(fields):
        _refuse_duplicates(line)
    return fields


def _refuse_duplicates(line: bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                message = f"duplicate key {_json(name)}"
                raise EventError(message)
            seen.add(name)

    try:
        json.loads(line, object_pairs_hook=unique)
    except RecursionError as error:  # its parser needs more stack than the first one
        message = "not JSON: nested too deeply"
        raise EventError(message) from error


def _event(fields: dict[str, Any], kind_name: object) -> tuple[str | None, Row]:
    kind = KINDS.get(kind_name) if isinstance(kind_name, str) else None
    if kind is None:
        known = ", ".join([*KINDS, "capture", "coverage"])
        message = "no telemetry kind" if kind_name is None else f"unknown kind {_json(kind_name)}"
        message = f"{message}; known kinds: {known}"
        raise EventError(message)
    row: Row = {
        "telemetry": kind.name,
        "ts_us": _required(fields, "ts_us", _integer),
        "agent_id": None,
    }
    agent_id = _optional_agent(fields)
    row["agent_id"] = agent_id
    columns = kind.columns
    for name, value in fields.items():
        if value is None or name in _BASE_KEYS:
            continue
        column = columns.get(name)
        if column is None:
            message = f"unknown column {_json(name)} of {kind.name}"
            raise EventError(message)
        row[name] = _checked(column, value)
    for name in fields.keys() - columns.keys() - set(_BASE_KEYS):
        message = f"unknown column {_json(name)} of {kind.name}"
        raise EventError(message)
    return agent_id, row


def _checked(column: Column, value: Any) -> Any:  # noqa: ANN401 (a JSON value)
    if column.type is ColumnType.BOOLEAN:
        return value if type(value) is bool else _wrong(column, value)
    if column.type in (ColumnType.INTEGER, ColumnType.PORT):
        return _checked_number(column, value)
    if type(value) is not str:
        return _wrong(column, value)
    if column.type is ColumnType.CODE:
        if value not in column.closed:
            message = f"{column.name} is {_json(value)}; allowed: {', '.join(column.closed)}"
            raise EventError(message)
        return value
    if column.type is ColumnType.ADDRESS:
        return plain_address(value)
    return value.lower() if column.lower else value


def _checked_number(column: Column, value: Any) -> int:  # noqa: ANN401 (a JSON value)
    if type(value) is not int:
        _wrong(column, value)
    low, high = (0, PORT_MAX) if column.type is ColumnType.PORT else (INT64_MIN, INT64_MAX)
    if not low <= value <= high or (column.numbers and value not in column.numbers):
        allowed = ", ".join(map(str, column.numbers)) or f"{low} to {high}"
        message = f"{column.name} is {_json(value)}; allowed: {allowed}"
        raise EventError(message)
    return int(value)


def _wrong(column: Column, value: Any) -> Any:  # noqa: ANN401 (a JSON value)
    message = f"{column.name} is {_json(value)}, which is no {column.type.value}"
    raise EventError(message)


def _json(value: Any) -> str:  # noqa: ANN401 (a JSON value)
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _required(fields: Mapping[str, Any], name: str, check: Any) -> Any:  # noqa: ANN401
    if fields.get(name) is None:
        message = f"{name} is missing"
        raise EventError(message)
    return check(name, fields[name])


def _integer(name: str, value: Any) -> int:  # noqa: ANN401 (a JSON value)
    if type(value) is not int or not INT64_MIN <= value <= INT64_MAX:
        message = f"{name} is {_json(value)}, which is no 64 bit integer"
        raise EventError(message)
    return value


def _count(name: str, value: Any) -> int:  # noqa: ANN401 (a JSON value)
    if _integer(name, value) < 0:
        message = f"{name} is {value}, which is no count"
        raise EventError(message)
    return int(value)


def _one_in(name: str, value: Any) -> int:  # noqa: ANN401 (a JSON value)
    if _integer(name, value) < 1:
        message = f"{name} is {value}; 1 means that nothing is left out"
        raise EventError(message)
    return int(value)


def _string(name: str, value: Any) -> str:  # noqa: ANN401 (a JSON value)
    if type(value) is not str:
        message = f"{name} is {_json(value)}, which is no text"
        raise EventError(message)
    return value


def _optional_agent(fields: Mapping[str, Any]) -> str | None:
    if "agent_id" not in fields:
        return None
    return str(_required(fields, "agent_id", _string))


def _kinds(name: str, value: Any) -> tuple[str, ...]:  # noqa: ANN401 (a JSON value)
    if type(value) is not list or any(type(item) is not str for item in value):
        message = f"{name} is {_json(value)}, which is no list of texts"
        raise EventError(message)
    for item in value:
        if item not in KINDS:
            message = f"unknown kind {_json(item)} in {name}; known kinds: {', '.join(KINDS)}"
            raise EventError(message)
    return tuple(value)


def _only(fields: Mapping[str, Any], what: str, names: frozenset[str]) -> None:
    for name in sorted(fields.keys() - names):
        message = f"unknown column {_json(name)} of {what}"
        raise EventError(message)


_CAPTURE_KEYS = frozenset({"telemetry", "format", "agent_id", "from_us", "to_us", "kinds"})


def _capture(fields: Mapping[str, Any]) -> Capture:
    version = _required(fields, "format", _integer)
    if version != FORMAT:
        message = f"format {version} is unknown; the newest known format is {FORMAT}"
        raise EventError(message)
    _only(fields, "capture", _CAPTURE_KEYS)
    header = Capture(
        agent_id=_required(fields, "agent_id", _string),
        from_us=_required(fields, "from_us", _integer),
        to_us=_required(fields, "to_us", _integer),
        kinds=_required(fields, "kinds", _kinds),
    )
    _check_order(header)
    return header


def _check_order(interval: Capture | Coverage) -> None:
    if interval.to_us < interval.from_us:
        message = "to_us is before from_us"
        raise EventError(message)


_COVERAGE_KEYS = frozenset(
    {
        "telemetry",
        "agent_id",
        "sensor",
        "kinds",
        "from_us",
        "to_us",
        "state",
        "method",
        "sampled_one_in",
        "lost",
        "cpu_ms",
        "rss_bytes",
    }
)


def _coverage(fields: Mapping[str, Any]) -> tuple[str | None, Coverage]:
    _only(fields, "coverage", _COVERAGE_KEYS)
    state = _required(fields, "state", _string)
    if state not in SENSOR_STATES:
        message = f"state is {_json(state)}; allowed: {', '.join(SENSOR_STATES)}"
        raise EventError(message)
    row = Coverage(
        sensor=_required(fields, "sensor", _string),
        kinds=_required(fields, "kinds", _kinds),
        from_us=_required(fields, "from_us", _integer),
        to_us=_required(fields, "to_us", _integer),
        state=state,
        method=_optional(fields, "method", _string, ""),
        sampled_one_in=_optional(fields, "sampled_one_in", _one_in, 1),
        lost=_optional(fields, "lost", _counts, None),
        cpu_ms=_optional(fields, "cpu_ms", _count, None),
        rss_bytes=_optional(fields, "rss_bytes", _count, None),
    )
    _check_order(row)
    return _optional_agent(fields), row


def _optional(fields: Mapping[str, Any], name: str, check: Any, default: Any) -> Any:  # noqa: ANN401
    value = fields.get(name)
    return default if value is None else check(name, value)


def _counts(name: str, value: Any) -> dict[str, int]:  # noqa: ANN401 (a JSON value)
    if type(value) is not dict:
        message = f"{name} is {_json(value)}, which is no map of counts"
        raise EventError(message)
    return {cause: _count(f"{name}.{cause}", count) for cause, count in value.items()}
