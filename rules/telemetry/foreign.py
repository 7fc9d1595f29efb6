"""Foreign senders: a batch as JSON, for programs that have no Arrow.

In: one JSON object: ``format``, the fields of a header, and ``events``; events and the header's
coverage as rows of the events contract. Out: the ``Batch`` that an agent would have built. Rows are
checked as strictly as a recording's; derived columns are left out, since ingest makes them.
"""

from __future__ import annotations

from dataclasses import fields as fields_of
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from rules.errors import EventError, WireError
from rules.telemetry.batch import MAX_EVENTS, Batch
from rules.telemetry.batch_builder import BatchBuilder
from rules.telemetry.event import Event
from rules.telemetry.header import MAX_STATEMENTS, Coverage, Header, problem_of
from rules.telemetry.kinds import KINDS
from rules.telemetry.ndjson import FORMAT, Capture, decode_fields, decode_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rules.telemetry.batch import Row

MAX_JSON_BYTES = 4 * 1024 * 1024  # 10,000 rows of 400 bytes; objects in memory take 25 times that

_HEADER_KEYS = frozenset(field.name for field in fields_of(Header))


def decode_json(data: bytes) -> Batch:
    """Return the batch in a JSON payload, its columns as ``array.array``.

    Raises:
        WireError: With the reason ``oversized``, ``json``, ``version``, ``header``, ``count`` or
            ``event``.
    """
    if len(data) > MAX_JSON_BYTES:
        raise WireError("oversized", f"JSON of {len(data)} bytes")
    try:
        payload = decode_object(data)
    except EventError as error:
        raise WireError("json", str(error)) from error
    if payload.get("format") != FORMAT or type(payload["format"]) is not int:
        raise WireError("version", f"format is not {FORMAT}")
    header = _header(payload)
    builder = BatchBuilder()
    for place, fields in enumerate(_list(payload, "events", MAX_EVENTS)):
        row = _item(fields, agent_id=header.agent_id, name=f"events[{place}]")
        if not isinstance(row, dict):
            raise WireError("event", f"events[{place}] is no event")
        builder.add(Event.from_row(row))
    return builder.build(header)


def _header(payload: Mapping[str, Any]) -> Header:
    for name in sorted(payload.keys() - _HEADER_KEYS - {"format", "events"}):
        raise WireError("header", f"unknown field {name[:64]!r}")
    plain = {name: payload[name] for name in payload.keys() & _HEADER_KEYS - {"coverage"}}
    try:
        header = msgspec.convert(plain, Header)
    except msgspec.ValidationError as error:
        raise WireError("header", str(error)) from error
    problem = problem_of(header)
    if problem is not None:
        raise WireError("header", problem)
    if not KINDS.keys() >= set(header.kinds):
        raise WireError("header", f"unknown kind; known kinds: {', '.join(KINDS)}")
    return replace(header, coverage=tuple(_coverage(payload, header.agent_id)))


def _coverage(payload: Mapping[str, Any], agent_id: str) -> Iterator[Coverage]:
    for place, fields in enumerate(_list(payload, "coverage", MAX_STATEMENTS)):
        row = _item(fields, agent_id=agent_id, name=f"coverage[{place}]")
        if not isinstance(row, Coverage):
            raise WireError("event", f"coverage[{place}] is no coverage row")
        yield row


def _list(payload: Mapping[str, Any], name: str, most: int) -> list[Any]:
    items = payload.get(name, [])
    if type(items) is not list:
        raise WireError("header", f"{name} is no list")
    if len(items) > most:
        raise WireError("count", f"{len(items)} {name}")
    return items


def _item(fields: Any, *, agent_id: str, name: str) -> Row | Capture | Coverage:  # noqa: ANN401
    if type(fields) is not dict:
        raise WireError("event", f"{name} is no object")
    try:
        stated, item = decode_fields(fields)
    except EventError as error:
        raise WireError("event", f"{name}: {error}") from error
    if stated not in {None, agent_id}:
        raise WireError("event", f"{name} is of another agent")
    return item
