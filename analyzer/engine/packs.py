"""Packs: the rows of one kind of several hosts, judged in one pass.

In: slices that waited, by host. Out: their columns, host after host, and where each host's begin.
A column is joined when somebody reads it; then rows of it are taken as from any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.telemetry.slices import Columns, joined_vector
from rules.telemetry.batch import Vector

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from analyzer.engine.arrays import Int64s
    from analyzer.telemetry.slices import Slice


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


class _Vectors(Mapping[str, Vector]):
    """The columns of several parts by name."""

    def __init__(self, parts: Sequence[Columns]) -> None:
        self._parts = parts
        self._names = dict.fromkeys(name for part in parts for name in part.columns)
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


def packs_of(slices: Mapping[int, Sequence[Slice]], kinds: Container[str]) -> dict[str, Pack]:
    """Return the rows of slices by kind, of some kinds; those of each host follow each other."""
    tables: dict[str, list[Columns]] = {}
    counts: dict[str, dict[int, int]] = {}
    for host, pieces in slices.items():
        for piece in pieces:
            for kind, table in piece.tables.items():
                rows = len(table.ts_us)
                if not rows or kind not in kinds:
                    continue
                if kind not in tables:
                    tables[kind], counts[kind] = [], {}
                tables[kind].append(table)
                by_host = counts[kind]
                by_host[host] = by_host.get(host, 0) + rows
    return {
        kind: Pack(Joined.of(own), list(counts[kind]), np.cumsum([0, *counts[kind].values()]))
        for kind, own in tables.items()
    }
