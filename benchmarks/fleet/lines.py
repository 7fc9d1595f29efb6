"""Lines: a fleet as a recording, one canonical JSON object per event, made a column at a time.

In: slices. Out: the bytes that ``rules.telemetry.ndjson.encode_row`` makes of their rows, with one
header per host before them, compressed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from benchmarks.fleet.shape import END_US, SHARES, START_US
from rules.telemetry.event import PROCESS_ROW_KEYS
from rules.telemetry.kinds import KINDS, Column, ColumnType
from rules.telemetry.ndjson import Capture, encode_capture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from analyzer.telemetry.dictionary import Dictionary
    from analyzer.telemetry.slices import Columns, Slice
    from rules.telemetry.batch import Vector

_INDEXED: Final = (ColumnType.TEXT, ColumnType.ADDRESS)
_ALWAYS: Final = "agent_id"
_BOOLEANS: Final = ("false", "true")


def write_recording(path: Path, agents: Sequence[str], slices: Iterable[Slice]) -> None:
    """Write a recording as ``.ndjson.zst``.

    Raises:
        OSError: The file cannot be written.
    """
    draft = path.with_name(path.name + ".draft")
    with draft.open("wb") as file, zstandard.ZstdCompressor(1).stream_writer(file) as packed:
        for agent_id in agents:
            header = Capture(agent_id, START_US, END_US, tuple(SHARES))
            packed.write(encode_capture(header) + b"\n")
        for block in text_blocks(slices):
            packed.write(block)
    draft.replace(path)


def text_blocks(slices: Iterable[Slice]) -> Iterator[bytes]:
    """Yield the lines of each kind of each slice; a slice of all of them has one dictionary."""
    fragments: _Fragments | None = None
    for piece in slices:
        for table in piece.tables.values():
            if fragments is None or fragments.dictionary is not table.dictionary:
                fragments = _Fragments(table.dictionary)
            yield _lines(piece.agent_id, table, fragments)


class _Fragments:
    """Texts and process columns as JSON, by id."""

    def __init__(self, dictionary: Dictionary) -> None:
        self.dictionary = dictionary
        self.texts = pa.array([None if text is None else _json(text) for text in dictionary.texts])
        self._processes: dict[str, Any] = {}

    def process(self, name: str) -> Any:  # noqa: ANN401 (an Arrow array)
        """Return the values of a process column by id; null where there is none."""
        known = self._processes.get(name)
        if known is None:
            place = PROCESS_ROW_KEYS.index(name)
            values = [process[place] for process in self.dictionary.processes]
            known = pa.array([None if value is None else _json(value) for value in values])
            self._processes[name] = known
        return known


def _lines(agent_id: str, table: Columns, fragments: _Fragments) -> bytes:
    """Return the rows of a table, one a line, keys sorted, nulls left out."""
    columns = {
        "agent_id": pa.repeat(_json(agent_id), len(table)),
        "telemetry": pa.repeat(_json(table.kind), len(table)),
        "ts_us": pa.array(table.ts_us).cast(pa.string()),
        **{
            name: fragments.process(name).take(pa.array(table.process)) for name in PROCESS_ROW_KEYS
        },
        **{
            name: _values(KINDS[table.kind].columns[name], vector, fragments)
            for name, vector in table.columns.items()
        },
    }
    parts: list[Any] = [pa.scalar("{")]
    for name, values in sorted(columns.items()):
        before, after = _around(name)
        keyed = pc.binary_join_element_wise(before, values, after, "", null_handling="emit_null")
        parts.append(pc.fill_null(keyed, ""))
    joined = pc.binary_join_element_wise(*parts, pa.scalar("}\n"), "")
    return _bytes(joined)


def _around(name: str) -> tuple[str, str]:
    """Return what stands before and after a value, so that commas stand between those that are.

    Every row has an agent: keys before that one bring their comma behind, later ones before them.
    """
    comma = "," if name > _ALWAYS else ""
    return f'{comma}"{name}":', "," if name < _ALWAYS else ""


def _values(column: Column, vector: Vector, fragments: _Fragments) -> Any:  # noqa: ANN401
    """Return a column as JSON texts; null where it is null."""
    if column.type in _INDEXED:
        return fragments.texts.take(pa.array(vector.values))
    if column.type in (ColumnType.CODE, ColumnType.BOOLEAN):
        closed = _BOOLEANS if column.type is ColumnType.BOOLEAN else map(_json, column.closed)
        return pa.array([None, *closed]).take(pa.array(vector.values))
    mask = None if vector.valid is None else np.asarray(vector.valid) == 0
    return pa.array(vector.values, mask=mask).cast(pa.string())


def _bytes(joined: Any) -> bytes:  # noqa: ANN401 (an Arrow array)
    """Return the texts of an array one after the other, as they lie in memory."""
    _, offsets, data = joined.buffers()
    bounds = np.frombuffer(offsets, np.int32)
    first, last = bounds[joined.offset], bounds[joined.offset + len(joined)]
    return bytes(memoryview(data)[first:last])


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
