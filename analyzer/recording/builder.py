"""Builder: rows of all kinds and hosts, collected in columns.

In: numbers that compiled code has put into columns, and rows that the strict reader has read.
Out: one table per kind, with derived columns, over all hosts.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analyzer.telemetry.columns import DTYPES, derived, row_columns
from analyzer.telemetry.dictionary import NULL
from analyzer.telemetry.many_hosts import HostRows, host_runs
from analyzer.telemetry.slices import Columns
from rules.telemetry.batch import NULLABLE_NUMBERS, Vector
from rules.telemetry.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.telemetry.dictionary import Dictionary
    from rules.telemetry.batch import Row

_FIRST_ROOM: Final = 4096  # rows


class TableBuilder:
    """Collects the rows of one kind, part by part."""

    def __init__(self, kind: str, dictionary: Dictionary) -> None:
        """Start with no rows."""
        self._kind = KINDS[kind]
        self._dictionary = dictionary
        self._rows = 0
        self._ts_us = _Growing(np.int64)
        self._process = _Growing(np.uint32)
        self._agents = _Growing(np.uint32)
        self._values: dict[str, _Growing] = {}
        self._valid: dict[str, _Growing] = {}

    def add(self, part: HostRows) -> None:
        """Take rows of this kind; an agent may be ``NULL``."""
        columns = part.columns
        self._ts_us.add(self._rows, columns.ts_us)
        self._process.add(self._rows, columns.process)
        self._agents.add(self._rows, part.agents)
        for name, vector in columns.columns.items():
            type_ = self._kind.columns[name].type
            if name not in self._values:
                self._values[name] = _Growing(DTYPES[type_])
                if type_ in NULLABLE_NUMBERS:
                    self._valid[name] = _Growing(np.uint8)
            self._values[name].add(self._rows, vector.values)
            if name in self._valid:
                given = np.ones(len(part), np.uint8) if vector.valid is None else vector.valid
                self._valid[name].add(self._rows, given)
        self._rows += len(part)

    def build(self, only: int) -> HostRows:
        """Return all rows with their derived columns, host after host, each by time.

        The builder is empty afterwards: columns are put in order one after another, so that there
        is never room for all of them twice.

        Args:
            only: The agent of the rows that name none; ``NULL`` leaves those rows out.
        """
        agents, ts_us = self._agents.take(self._rows), self._ts_us.take(self._rows)
        agents[agents == NULL] = only
        order = _order(agents, ts_us)
        if (agents == NULL).any():
            order = np.arange(self._rows) if order is None else order
            order = order[agents[order] != NULL]

        def ordered(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return values if order is None else values[order]

        vectors = {}
        for name in [column.name for column in self._kind.own if column.name in self._values]:
            values = ordered(self._values.pop(name).take(self._rows))
            valid = None
            if name in self._valid:
                valid = ordered(self._valid.pop(name).take(self._rows))
            vectors[name] = Vector(values, None if valid is None or valid.all() else valid)
        process = ordered(self._process.take(self._rows))
        agents, ts_us = ordered(agents), ordered(ts_us)
        vectors = derived(self._kind.name, ts_us, vectors, self._dictionary)
        columns = Columns(self._kind.name, ts_us, process, vectors, self._dictionary)
        return HostRows(columns, agents)


class _Growing:
    """A column that gets longer in place."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self._values = np.zeros(_FIRST_ROOM, dtype)

    def add(self, start: int, values: npt.NDArray[Any]) -> None:
        """Put values at ``start``; what was left out before is 0."""
        end = start + len(values)
        if end > len(self._values):
            self._values.resize(end + end // 8, refcheck=False)
        self._values[start:end] = values

    def take(self, rows: int) -> npt.NDArray[Any]:
        """Return the first ``rows`` values; there are none any more."""
        values, self._values = self._values, np.zeros(0, self._values.dtype)
        values.resize(rows, refcheck=False)
        return values


def _order(
    agents: npt.NDArray[np.uint32], ts_us: npt.NDArray[np.int64]
) -> npt.NDArray[np.intp] | None:
    """Return the order by host and time; None = as they are: each host at one place, by time."""
    is_next = agents[1:] != agents[:-1]
    if (is_next | (ts_us[1:] >= ts_us[:-1])).all() and host_runs(agents) is not None:
        return None
    return np.lexsort((ts_us, agents))


class Builder:
    """Collects the rows of every kind."""

    def __init__(self, dictionary: Dictionary) -> None:
        """Start with no rows."""
        self.dictionary = dictionary
        self.rows = 0
        self._tables: dict[str, TableBuilder] = {}

    def add(self, part: HostRows) -> None:
        """Take rows of one kind; an agent may be ``NULL``."""
        kind = part.columns.kind
        if kind not in self._tables:
            self._tables[kind] = TableBuilder(kind, self.dictionary)
        self._tables[kind].add(part)
        self.rows += len(part)

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Take rows of any kind, not yet derived; an agent may be None."""
        by_kind: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            by_kind[row["telemetry"]].append(row)
        for kind, own in by_kind.items():
            agents = [self._agent(row["agent_id"]) for row in own]
            columns = row_columns(own, self.dictionary)[kind]
            self.add(HostRows(columns, np.array(agents, np.uint32)))

    def build(self, only: str | None) -> list[HostRows]:
        """Return one table per kind; the builder is empty afterwards.

        Args:
            only: The agent of the rows that name none; None leaves those rows out.
        """
        agent = self._agent(only)
        tables = [self._tables.pop(kind).build(agent) for kind in list(self._tables)]
        return [table for table in tables if len(table)]

    def _agent(self, agent_id: Any) -> int:  # noqa: ANN401 (a cell of a row)
        return NULL if agent_id is None else self.dictionary.text_id(agent_id)
