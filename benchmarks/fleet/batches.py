"""Batches: a fleet's slices as the messages that agents would have sent.

In: slices. Out: one wire message per slice, each of which stands alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rules.telemetry.batch import Batch, Table, Vector
from rules.telemetry.header import Coverage, Header
from rules.telemetry.kinds import KINDS, ColumnType
from rules.telemetry.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from analyzer.telemetry.slices import Columns, Slice

_BOOT_ID: Final = "boot-1"
_STREAM: Final = "main"
_INDEXED: Final = (ColumnType.TEXT, ColumnType.ADDRESS)


def messages(slices: Iterable[Slice]) -> Iterator[bytes]:
    """Yield the message of each slice; sequence numbers count per agent."""
    sequences: dict[str, int] = {}
    for piece in slices:
        sequence = sequences[piece.agent_id] = sequences.get(piece.agent_id, 0) + 1
        yield encode(batch_of(piece, sequence))


def batch_of(piece: Slice, sequence: int) -> Batch:
    """Return a slice as a batch with tables of its own, without derived columns."""
    tables = piece.tables.values()
    texts = _Ids([vector.values for table in tables for vector in _texts(table)])
    processes = _Ids([table.process for table in tables])
    dictionary = next(iter(tables)).dictionary
    kinds = tuple(piece.tables)
    watched = Coverage("perf", kinds, piece.from_us, piece.to_us, "on")
    return Batch(
        header=Header(
            agent_id=piece.agent_id,
            boot_id=_BOOT_ID,
            stream=_STREAM,
            sequence=sequence,
            from_us=piece.from_us,
            to_us=piece.to_us,
            kinds=kinds,
            coverage=(watched,),
        ),
        strings=[dictionary.texts[number] or "" for number in texts.known.tolist()],
        processes=[dictionary.processes[number] for number in processes.known.tolist()],
        tables={table.kind: _table(table, texts, processes) for table in tables},
    )


class _Ids:
    """The ids that a batch uses, ascending, and their indexes in it."""

    def __init__(self, used: list[npt.NDArray[np.uint32]]) -> None:
        every = np.unique(np.concatenate(used)) if used else np.zeros(0, np.uint32)
        self.known = every[every != 0]

    def indexes(self, ids: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
        """Return the index of each id, from 1; 0 stays null."""
        found = np.searchsorted(self.known, ids) + 1
        return np.where(ids == 0, 0, found).astype(np.uint32)


def _texts(table: Columns) -> list[Vector]:
    columns = KINDS[table.kind].columns
    return [vector for name, vector in table.columns.items() if columns[name].type in _INDEXED]


def _table(table: Columns, texts: _Ids, processes: _Ids) -> Table:
    columns = KINDS[table.kind].columns
    sent: dict[str, Vector] = {}
    for name, vector in table.columns.items():
        if columns[name].derived or not _has_values(vector):
            continue
        is_text = columns[name].type in _INDEXED
        sent[name] = Vector(texts.indexes(vector.values)) if is_text else vector
    return Table(table.kind, table.ts_us, processes.indexes(table.process), sent)


def _has_values(vector: Vector) -> bool:
    return True if vector.valid is None else bool(np.any(vector.valid))
