"""Wire: one batch as bytes, and back. What an agent publishes and the analyzer keeps.

In: a ``Batch``. Out: one MQTT payload that stands alone; or, from bytes that somebody else wrote, a
checked ``Batch`` or ``WireError``, in bounded memory and time whatever the bytes are.

A message is a MessagePack array: magic, version, compression, size of the body, label, sizes of the
tables, body. The label (agent, boot, stream, sequence, events) repeats what the body says, so that
``peek`` can tell messages apart without opening them; ``decode`` refuses a label that its body does
not confirm. The body, compressed once as a whole, is one Arrow IPC stream per telemetry kind
(``arrow_writer`` tells how columns travel) and behind them a MessagePack array: header, strings,
process instances. Tables stand first so that columns are used where they lie, aligned, uncopied.

Newer senders: kinds, columns and header fields that this version does not know are left out and
named in ``Batch.ignored``; values outside a closed list are refused, since nobody here knows what
they mean. A change of meaning needs a new version byte.

A payload that starts with ``{`` is a batch of a foreign sender as JSON (``foreign``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from rules.errors import WireError
from rules.telemetry.arrow_writer import write_table
from rules.telemetry.batch import MAX_EVENTS, Batch, Process, Table
from rules.telemetry.compression import Method, pack, unpack
from rules.telemetry.event import Text
from rules.telemetry.header import Header, Name, Ordinal, problem_of
from rules.telemetry.kinds import KINDS

MAX_MESSAGE_BYTES = 8 * 1024 * 1024  # as sent; brokers are configured for it
MAX_BODY_BYTES = 64 * 1024 * 1024  # as decompressed
MAX_STRINGS = 16 * MAX_EVENTS  # no kind has more text columns
MAX_TABLES = 64
VERSION = 1
REASONS = (
    "arrow",  # a table is no Arrow stream of one record batch
    "body",  # the body is not laid out as one
    "code",  # a value outside its closed list
    "column",  # a column missing, twice, or of a wrong type
    "compression",  # broken, or nested inside Arrow
    "count",  # more or fewer rows, strings or values than stated or allowed
    "envelope",  # the message is not laid out as one
    "event",  # a row of a JSON batch breaks the events contract
    "header",  # fields of the header that make no sense, or disagree with the label
    "index",  # points outside the strings or the processes
    "json",  # not JSON, or a key twice
    "kind",  # a table without kind, or a kind twice
    "magic",  # something else entirely
    "oversized",
    "truncated",
    "version",
)
"""Every reason a ``WireError`` of this package can have, for counters."""

_T = TypeVar("_T")
_MAGIC_TEXT = "proctor"
_MAGIC = msgspec.msgpack.encode(_MAGIC_TEXT)
_VERSION_AT = 1 + len(_MAGIC)  # behind the array's first byte and the magic


class Label(msgspec.Struct, array_like=True, frozen=True):
    """What a message says of itself outside the compressed body."""

    agent_id: Name
    boot_id: Name
    stream: Name
    sequence: Ordinal
    events: Annotated[int, Meta(ge=0, le=MAX_EVENTS)]


class _Message(msgspec.Struct, array_like=True, frozen=True):
    magic: str
    version: int
    compression: Method
    size_bytes: Annotated[int, Meta(ge=0)]
    label: Label
    tables: Annotated[list[Annotated[int, Meta(gt=0, multiple_of=8)]], Meta(max_length=MAX_TABLES)]
    body: memoryview


class _TailStart(msgspec.Struct, array_like=True, frozen=True):
    header: Header  # what follows is passed over


class _Tail(msgspec.Struct, array_like=True, frozen=True):
    header: Header
    strings: msgspec.Raw
    processes: Annotated[list[Process], Meta(max_length=MAX_EVENTS)]


_MESSAGE = msgspec.msgpack.Decoder(_Message)
_HEADER = msgspec.msgpack.Decoder(Header)
_TAIL = msgspec.msgpack.Decoder(_Tail)
_STRINGS = msgspec.msgpack.Decoder(Annotated[list[Text], Meta(max_length=MAX_STRINGS)])
_TAIL_START = msgspec.msgpack.Decoder(_TailStart)


def encode(batch: Batch) -> bytes:
    """Return a batch as the bytes of one message.

    Raises:
        WireError: The batch breaks a limit (``oversized``, ``count``) or its header makes no
            sense (``header``); the analyzer would refuse it.
    """
    header = _encoded(batch.header)
    sizes = {"strings": len(batch.strings), "processes": len(batch.processes)}
    if len(batch) > MAX_EVENTS or sizes["strings"] > MAX_STRINGS or sizes["processes"] > MAX_EVENTS:
        raise WireError("count", f"{len(batch)} events, {sizes}")
    tables = [write_table(table, **sizes) for table in batch.tables.values()]
    tail = msgspec.msgpack.encode((msgspec.Raw(header), tuple(batch.strings), batch.processes))
    return _sealed(_label(batch.header, len(batch)), tables, tail)


def decode_any(data: bytes) -> Batch:
    """Return the batch in a payload, our own or the JSON of a foreign sender.

    Raises:
        WireError: The bytes are no batch; ``reason`` is one of ``REASONS``.
    """
    if data[:1] == b"{":
        from rules.telemetry.foreign import decode_json

        return decode(encode(decode_json(data)))  # one form and one set of limits for all
    return decode(data)


def header_of(data: bytes) -> Header:
    """Return the header of a payload, our own or JSON, without looking at its tables.

    It says what that of ``decode_any`` says, of kinds that this version does not know as well; of a
    payload that ``decode_any`` refuses for its tables, too.

    Raises:
        WireError: The bytes are no message, or its header makes no sense.
    """
    if data[:1] == b"{":
        return decode_any(data).header
    message = _opened(data)
    body = _decompressed(message)
    return _confirmed(_tail(body[sum(message.tables) :], _TAIL_START).header, message.label)


def peek(data: bytes) -> Label:
    """Return what a message says of itself, without opening or checking its body.

    Raises:
        WireError: The bytes are no message.
    """
    return _opened(data).label


def decode(data: bytes) -> Batch:
    """Return the batch in a message, its columns as checked numpy arrays.

    Raises:
        WireError: The bytes are no batch; ``reason`` is one of ``REASONS``.
    """
    message = _opened(data)
    body = _decompressed(message)
    tail = _tail(body[sum(message.tables) :], _TAIL)
    _confirmed(tail.header, message.label)
    strings = _strings(memoryview(tail.strings))
    sizes = {"strings": len(strings), "processes": len(tail.processes)}
    tables, ignored = _tables(message, body, sizes)
    header, unknown = _known(tail.header)
    return Batch(header, strings, tail.processes, tables, tuple(sorted({*ignored, *unknown})))


def _encoded(header: Header) -> bytes:
    """Return a header as MessagePack, once it is sure that ``decode`` will take it."""
    try:
        data = msgspec.msgpack.encode(header)
        _check(_HEADER.decode(data))
    except (msgspec.ValidationError, ValueError, OverflowError, TypeError) as error:
        raise WireError("header", str(error)) from error
    return data


def _check(header: Header) -> None:
    problem = problem_of(header)
    if problem is not None:
        raise WireError("header", problem)


def _label(header: Header, events: int) -> Label:
    return Label(header.agent_id, header.boot_id, header.stream, header.sequence, events)


def _confirmed(header: Header, label: Label) -> Header:
    """Return a header that makes sense and says what the label says."""
    _check(header)
    if label != _label(header, label.events):
        raise WireError("header", "the label says something else than the body")
    return header


def _strings(packed: memoryview) -> Sequence[str]:
    from rules.telemetry.texts import plain_texts  # numpy: analyzer only

    return plain_texts(packed, max_count=MAX_STRINGS) or _tail(packed, _STRINGS)


def _tail(data: memoryview, decoder: msgspec.msgpack.Decoder[_T]) -> _T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError("body", str(error)) from error


def _tables(
    message: _Message, body: memoryview, sizes: Mapping[str, int]
) -> tuple[dict[str, Table], set[str]]:
    from rules.telemetry.arrow_reader import read_table  # pyarrow and numpy: analyzer only

    tables: dict[str, Table | None] = {}
    ignored: set[str] = set()
    rows = start = 0
    for size in message.tables:
        data = body[start : start + size]
        read = read_table(data, **sizes)
        if read.kind in tables:
            raise WireError("kind", f"two tables of {read.kind}")
        tables[read.kind] = read.table
        ignored.update(read.ignored)
        rows += read.rows
        start += size
    if rows != message.label.events:
        raise WireError("count", f"{rows} rows, stated {message.label.events}")
    return {kind: table for kind, table in tables.items() if table is not None}, ignored


def _known(header: Header) -> tuple[Header, set[str]]:
    """Return the header without kinds that this version does not know, and their names."""
    named = {*header.kinds, *(kind for row in header.coverage for kind in row.kinds)}
    unknown = named - KINDS.keys()
    if not unknown:
        return header, unknown
    coverage = tuple(replace(row, kinds=_kept(row.kinds)) for row in header.coverage)
    return replace(header, kinds=_kept(header.kinds), coverage=coverage), unknown


def _kept(kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(kind for kind in kinds if kind in KINDS)


def _opened(data: bytes) -> _Message:
    """Return the envelope: its layout is checked, its body is not."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise WireError("oversized", f"message of {len(data)} bytes")
    magic = data[1:_VERSION_AT]
    if magic != _MAGIC:
        raise WireError("truncated" if _MAGIC.startswith(magic) else "magic")
    version = data[_VERSION_AT : _VERSION_AT + 1]
    if version not in {bytes([VERSION]), b""}:
        raise WireError("version", version.hex())
    try:
        return _MESSAGE.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = "truncated" if "truncated" in str(error) else "envelope"
        raise WireError(reason, str(error)) from error


def _sealed(label: Label, tables: list[bytes], tail: bytes) -> bytes:
    body = b"".join((*tables, tail))
    if len(body) > MAX_BODY_BYTES:
        raise WireError("oversized", f"body of {len(body)} bytes")
    method, packed = pack(body)
    sizes = list(map(len, tables))
    data = msgspec.msgpack.encode((_MAGIC_TEXT, VERSION, method, len(body), label, sizes, packed))
    if len(data) > MAX_MESSAGE_BYTES:
        raise WireError("oversized", f"message of {len(data)} bytes")
    return data


def _decompressed(message: _Message) -> memoryview:
    size_bytes = message.size_bytes
    if size_bytes > MAX_BODY_BYTES:
        raise WireError("oversized", f"body of {size_bytes} bytes")
    body = unpack(message.body, method=message.compression, size_bytes=size_bytes)
    if sum(message.tables) > size_bytes:
        raise WireError("body", "the tables are longer than the body")
    return memoryview(body)
