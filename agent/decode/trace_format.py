"""Formats of the kernel's tracepoints: where each field of a raw record lies on this kernel.

In: the text of a tracepoint's ``format`` file. Out: its id, and a layout that reads chosen fields.
Source: Linux Documentation/trace/events.rst.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

from agent.errors import DecodeError

_MAX_RECORD_BYTES: Final = 8_192  # the kernel's own bound of a trace record
_ID: Final = re.compile(r"^ID: (\d{1,9})$", re.MULTILINE)
_FIELD: Final = re.compile(
    r"^\s*field:(?P<declaration>[^;\n]+);\s*offset:(?P<offset>\d{1,9});"
    r"\s*size:(?P<size>\d{1,9});\s*signed:(?P<signed>[01]);",
    re.MULTILINE,
)
_NAME: Final = re.compile(r"(\w+)(\[\d*\])?$")
_CODES: Final = {1: "b", 2: "h", 4: "i", 8: "q"}

Permute: TypeAlias = Callable[[Sequence[Any]], tuple[Any, ...]]


class Field(NamedTuple):
    """Where a field lies in the raw record, in bytes, and how to read it."""

    offset: int
    size: int
    code: str
    """Of the ``struct`` module."""


@dataclass(frozen=True, slots=True)
class TraceFormat:
    """One tracepoint of this kernel."""

    id: int
    """What ``perf_event_open`` wants, and what ``common_type`` of its records says."""
    fields: Mapping[str, Field]


class Layout(NamedTuple):
    """How to read chosen fields of one tracepoint out of a whole record."""

    fields: struct.Struct
    permute: Permute | None
    """Puts what ``fields`` reads into the wanted order; None where the kernel has that order."""

    def read(self, record: bytes, offset: int = 0) -> tuple[Any, ...]:
        """Return the fields of the record at ``offset``, in the wanted order."""
        values = self.fields.unpack_from(record, offset)
        return values if self.permute is None else self.permute(values)


def read_format(text: str) -> TraceFormat:
    """Return id and fields of a tracepoint.

    Raises:
        DecodeError: The text is no format file.
    """
    found = _ID.search(text)
    if found is None:
        raise DecodeError("tracepoint format", "no ID line")
    fields: dict[str, Field] = {}
    for match in _FIELD.finditer(text):
        offset, size = int(match["offset"]), int(match["size"])
        name = _NAME.search(match["declaration"])
        if name is None or offset + size > _MAX_RECORD_BYTES:
            raise DecodeError("tracepoint format", f"field {match['declaration']!r}")
        is_array = name[2] is not None and "__data_loc" not in match["declaration"]
        fields[name[1]] = Field(offset, size, _code(size, match["signed"] == "1", is_array))
    return TraceFormat(int(found[1]), fields)


def make_layout(
    trace_format: TraceFormat, names: Sequence[str], *, head: str, size: int | None = None
) -> Layout:
    """Return a layout that reads ``head`` and then the fields ``names``, in that order.

    Args:
        trace_format: Of the tracepoint.
        names: Fields to read.
        head: What stands before the raw record, as codes of the ``struct`` module.
        size: Of a whole record with its padding, bytes; None = up to the last field.

    Raises:
        DecodeError: A field is missing, two of them overlap, or they are longer than the record.
    """
    try:
        wanted = sorted((trace_format.fields[name], name) for name in names)
    except KeyError as error:
        raise DecodeError("tracepoint format", f"no field {error}") from error
    codes, end = f"={head}", 0
    for field, name in wanted:
        if field.offset < end:
            raise DecodeError("tracepoint format", f"field {name} overlaps another")
        codes += f"{field.offset - end}x{field.code}"
        end = field.offset + field.size
    before = len(struct.unpack(f"={head}", bytes(struct.calcsize(f"={head}"))))
    rest = 0 if size is None else size - struct.calcsize(codes)
    if rest < 0:
        raise DecodeError("tracepoint format", "fields are longer than the record")
    return Layout(struct.Struct(f"{codes}{rest}x"), _permutation(names, wanted, before))


def _code(size: int, is_signed: bool, is_array: bool) -> str:  # noqa: FBT001
    code = None if is_array else _CODES.get(size)
    if code is None:
        return f"{size}s"
    return code if is_signed else code.upper()


def _permutation(
    names: Sequence[str], wanted: Sequence[tuple[Field, str]], before: int
) -> Permute | None:
    read = [name for _, name in wanted]
    if read == list(names):
        return None
    return itemgetter(*range(before), *(before + read.index(name) for name in names))
