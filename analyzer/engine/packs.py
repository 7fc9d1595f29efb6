"""Packs: the rows of one kind of several hosts, judged in one pass.

In: slices that waited, by host. Out: their columns, host after host, and where each host's begin.
A column is joined when somebody reads it: of many, no rule asks for more than a few rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analyzer.telemetry.slices import Columns, joined_vector
from rules.telemetry.batch import Vector

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from analyzer.engine.arrays import Int64s, Places
    from analyzer.telemetry.slices import Slice

_SPREAD: Final = 64  # parts of which rows are taken, above which it is quicker to join them


@dataclass(frozen=True, slots=True)
class Pack:
    """Rows of one kind, host after host, those of each by time; each host has at least one.

    Attributes:
        hosts: The host of each part.
        starts: Where the rows of each part begin, and where the last ones end.
    """

    columns: Columns
    hosts: list[int]
    starts: Int64s

    def parts(self) -> Iterator[tuple[int, int, int]]:
        """Yield each host, its first row and the one after its last."""
        bounds = self.starts.tolist()
        return zip(self.hosts, bounds[:-1], bounds[1:], strict=True)

    def host_of_rows(self) -> Int64s:
        """Return the host of each row."""
        return np.repeat(np.array(self.hosts, np.int64), np.diff(self.starts))


class Joined(Columns):
    """Rows of several parts, part after part; their columns are joined when they are read."""

    @classmethod
    def of(cls, parts: Sequence[Columns]) -> Columns:
        """Return the rows of at least one part."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            parts[0].kind,
            np.concatenate([part.ts_us for part in parts]),
            np.concatenate([part.process for part in parts]),
            _Vectors(parts),
            parts[0].dictionary,
        )

    def take(self, places: Any) -> Columns:  # noqa: ANN401 (indexes, a mask or a slice)
        """Return the rows at ``places``, as ``Columns.take``; the others are not joined for it."""
        vectors = self.columns
        if isinstance(places, slice) or not isinstance(vectors, _Vectors):
            return Columns.take(self, places)
        if places.dtype == np.bool_:
            places = np.flatnonzero(places)
        own, process = self.ts_us.take(places), self.process.take(places)
        return Columns(self.kind, own, process, vectors.taken(places), self.dictionary)


class _Vectors(Mapping[str, Vector]):
    """The columns of several parts by name."""

    def __init__(self, parts: Sequence[Columns]) -> None:
        self._parts = parts
        self._names = dict.fromkeys(name for part in parts for name in part.columns)
        self._starts = np.cumsum([0, *map(len, parts)])
        self._known: dict[str, Vector] = {}

    def __getitem__(self, name: str) -> Vector:
        found = self._known.get(name)
        if found is None:
            if name not in self._names:
                raise KeyError(name)
            found = self._known[name] = joined_vector(name, self._parts)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def taken(self, places: Places) -> dict[str, Vector]:
        """Return the columns of some rows; of those that nobody has read, only these are read."""
        order = np.argsort(places, kind="stable")
        bounds = places[order].searchsorted(self._starts)
        if np.count_nonzero(np.diff(bounds)) > _SPREAD:
            return {name: _take(self[name], places) for name in self._names}
        found = {name: _take(vector, places) for name, vector in self._known.items()}
        others = [name for name in self._names if name not in found]
        if others and len(places):
            found |= self._gathered(places[order], order, bounds.tolist(), others)
        return {name: found[name] for name in self._names if name in found}

    def _gathered(
        self, places: Places, order: Places, bounds: Sequence[int], names: Sequence[str]
    ) -> dict[str, Vector]:
        pieces = [
            (part, places[first:last] - start)
            for part, start, first, last in zip(
                self._parts, self._starts[:-1].tolist(), bounds[:-1], bounds[1:], strict=True
            )
            if first < last
        ]
        back = np.empty(len(order), np.intp)
        back[order] = np.arange(len(order))
        return {
            name: _take(_gathered(name, pieces), back)
            for name in names
            if any(name in part.columns for part, _ in pieces)
        }


def _take(vector: Vector, places: Places) -> Vector:
    valid = None if vector.valid is None else vector.valid.take(places)
    return Vector(vector.values.take(places), valid)


def _gathered(name: str, pieces: Sequence[tuple[Columns, Places]]) -> Vector:
    """Return a column of some rows of each of several parts."""
    vectors = [part.columns[name] for part, _ in pieces if name in part.columns]
    if len(vectors) == len(pieces) and all(vector.valid is None for vector in vectors):
        values = [vector.values.take(own) for vector, (_, own) in zip(vectors, pieces, strict=True)]
        return Vector(np.concatenate(values))
    return joined_vector(name, [_only(part, name).take(own) for part, own in pieces])


def _only(part: Columns, name: str) -> Columns:
    """Return rows with one of their columns, if they have it."""
    columns = {name: part.columns[name]} if name in part.columns else {}
    return Columns(part.kind, part.ts_us, part.process, columns, part.dictionary)


def packs_of(slices: Mapping[int, Sequence[Slice]], kinds: Container[str]) -> dict[str, Pack]:
    """Return the rows of slices by kind, of some kinds; those of each host follow each other."""
    tables: dict[str, list[Columns]] = {}
    counts: dict[str, dict[int, int]] = {}
    for host, pieces in slices.items():
        for piece in pieces:
            for kind, table in piece.tables.items():
                if kind in kinds and len(table):
                    tables.setdefault(kind, []).append(table)
                    by_host = counts.setdefault(kind, {})
                    by_host[host] = by_host.get(host, 0) + len(table)
    return {
        kind: Pack(Joined.of(own), list(counts[kind]), np.cumsum([0, *counts[kind].values()]))
        for kind, own in tables.items()
    }
