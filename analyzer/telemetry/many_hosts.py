"""Rows of one kind of many hosts in columns: what a recording is until it is cut up by host.

In: columns and whose rows they are. Out: slices of single hosts for the engine, and windows over
all hosts in the order of time for the digest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analyzer.telemetry.slices import Slice, joined

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import numpy.typing as npt

    from analyzer.telemetry.slices import Columns

WINDOW_ROWS: Final = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class HostRows:
    """Rows of one kind; ``agents[i]`` is the dictionary's id of the agent id of row ``i``."""

    columns: Columns
    agents: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.agents)

    def take(self, places: Any) -> HostRows:  # noqa: ANN401 (indexes, a mask or a slice)
        """Return the rows at ``places``, as ``Columns.take``."""
        return HostRows(self.columns.take(places), self.agents[places])


def of_piece(piece: Slice) -> list[HostRows]:
    """Return the tables of a slice."""
    return [
        HostRows(table, np.full(len(table), table.dictionary.text_id(piece.agent_id), np.uint32))
        for table in piece.tables.values()
    ]


def events_by_host(tables: Sequence[HostRows]) -> dict[str, int]:
    """Return the number of rows of each host."""
    found = Counter[str]()
    for table in tables:
        texts = table.columns.dictionary.texts
        counts = np.bincount(table.agents)
        for agent in np.flatnonzero(counts).tolist():
            found[str(texts[agent])] += int(counts[agent])
    return dict(found)


def of_hosts(tables: Sequence[HostRows], agents: Collection[str]) -> list[HostRows]:
    """Return the rows of some hosts."""
    found = []
    for table in tables:
        texts = table.columns.dictionary.texts
        known = np.flatnonzero(np.bincount(table.agents)).tolist()
        ids = [agent for agent in known if texts[agent] in agents]
        part = table.take(np.isin(table.agents, ids))
        if len(part):
            found.append(part)
    return found


def span_us(tables: Sequence[HostRows]) -> list[int]:
    """Return the first and the last moment of each table that has rows."""
    times = [table.columns.ts_us for table in tables if len(table)]
    return [int(moment) for own in times for moment in (own.min(), own.max())]


def windows(tables: Sequence[HostRows], *, rows: int = WINDOW_ROWS) -> Iterator[list[HostRows]]:
    """Yield all rows in windows that follow each other in time.

    A window has at most ``rows`` rows, or it is one moment. No moment is in two windows. Inside a
    window rows have no order.
    """
    if not tables:
        return
    times = np.concatenate([table.columns.ts_us for table in tables])
    order = None
    if (times[1:] < times[:-1]).any():
        order = np.argsort(times, kind="stable")
        times = times[order]
    starts = np.cumsum([0, *map(len, tables)])
    start = 0
    while start < len(times):
        end = _window_end(times, start, rows)
        places = np.arange(start, end) if order is None else np.sort(order[start:end])
        cuts = np.searchsorted(places, starts)
        yield [
            table.take(places[low:high] - first)
            for table, first, low, high in zip(
                tables, starts[:-1], cuts[:-1], cuts[1:], strict=True
            )
            if low < high
        ]
        start = end


def host_slices(
    tables: Sequence[HostRows], *, from_us: int, to_us: int, rows: int = WINDOW_ROWS
) -> Iterator[Slice]:
    """Yield the rows of every host in slices of about ``rows`` rows, host after host by agent id.

    Args:
        tables: All rows, in any order.
        from_us: Where the first slice of each host begins.
        to_us: Where its last slice ends; every row is before it.
        rows: A slice has more only where one moment has more.
    """
    by_host: dict[str, dict[str, list[Columns]]] = defaultdict(lambda: defaultdict(list))
    for table in tables:
        texts = table.columns.dictionary.texts
        for agent, columns in _by_agent(table):
            by_host[str(texts[agent])][columns.kind].append(columns)
    for agent_id, own in sorted(by_host.items()):
        yield from _cut(agent_id, [*map(joined, own.values())], (from_us, to_us), rows)


def host_runs(agents: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp] | None:
    """Return where the rows of each host begin; None where those of a host are not together."""
    starts = np.concatenate(([0], np.flatnonzero(agents[1:] != agents[:-1]) + 1))[: len(agents)]
    return starts if len(set(agents[starts].tolist())) == len(starts) else None


def _by_agent(table: HostRows) -> Iterator[tuple[int, Columns]]:
    agents, columns = table.agents, table.columns
    starts = host_runs(agents)
    if starts is None:
        order = np.argsort(agents, kind="stable")
        agents, columns = agents[order], columns.take(order)
        starts = host_runs(agents)
        assert starts is not None  # noqa: S101 (they are sorted)
    bounds = [*starts.tolist(), len(agents)]
    for start, end in pairwise(bounds):
        yield int(agents[start]), columns.take(slice(start, end))


def _cut(
    agent_id: str, tables: Sequence[Columns], interval: tuple[int, int], rows: int
) -> Iterator[Slice]:
    from_us, to_us = interval
    times = np.sort(np.concatenate([table.ts_us for table in tables]), kind="stable")
    edges = np.unique(times[rows::rows])
    bounds = [from_us, *edges[edges > from_us].tolist(), to_us]
    cuts = [np.searchsorted(table.ts_us, bounds[1:-1]).tolist() for table in tables]
    for index, (start_us, end_us) in enumerate(pairwise(bounds)):
        pieces = {}
        for table, own in zip(tables, cuts, strict=True):
            at = [0, *own, len(table)]
            if at[index] < at[index + 1]:
                pieces[table.kind] = table.take(slice(at[index], at[index + 1]))
        yield Slice(agent_id, start_us, end_us, pieces)


def _window_end(times: npt.NDArray[np.int64], start: int, rows: int) -> int:
    end = start + rows
    if end >= len(times):
        return len(times)
    first_of_moment = int(np.searchsorted(times, times[end]))
    if first_of_moment > start:
        return first_of_moment
    return int(np.searchsorted(times, times[start], side="right"))
