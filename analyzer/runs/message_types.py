"""Types of telemetry messages, as clients of Inspector count them.

In: a batch. Out: how many messages of each type it holds, and their size. What Inspector knew has
its names, also where it kept apart what is one kind here: transport and address family of sockets,
start and end of processes. What it did not know has ours.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.model import MessageCount
from rules.telemetry.kinds import CONNECTION, KINDS, LISTENER, PROCESS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from rules.telemetry import Batch
    from rules.telemetry.batch import Table

SOCKET_TYPES: Final = {
    ("connection", "tcp", 4): "InspectorTcpV4Connection",
    ("connection", "tcp", 6): "InspectorTcpV6Connection",
    ("connection", "udp", 4): "ProctorUdpV4Flow",
    ("connection", "udp", 6): "ProctorUdpV6Flow",
    ("listener", "tcp", 4): "InspectorTcpV4ListeningPort",
    ("listener", "tcp", 6): "InspectorTcpV6ListeningPort",
    ("listener", "udp", 4): "InspectorUdpV4ListeningPort",
    ("listener", "udp", 6): "InspectorUdpV6ListeningPort",
}
"""Kind, protocol and address family of a row about a socket → type of its message."""
PROCESS_TYPES: Final = {"started": "InspectorCreateProcess", "exited": "InspectorStopProcess"}
"""State of a row about a process → type of its message."""


def count_messages(batch: Batch, counts: Mapping[str, MessageCount]) -> dict[str, MessageCount]:
    """Return ``counts`` with those of a batch added; the size is that of its columns."""
    added = dict(counts)
    for table in batch.tables.values():
        columns = [vector.values for vector in table.columns.values()]
        width = sum(array.itemsize for array in (table.ts_us, table.process, *columns))
        for name, rows in _rows_by_type(table, batch.strings).items():
            before = added.get(name, MessageCount(0, 0))
            added[name] = MessageCount(before.count + rows, before.size_bytes + rows * width)
    return added


def _rows_by_type(table: Table, strings: Sequence[str]) -> Counter[str]:
    if table.kind in (CONNECTION.name, LISTENER.name):
        return _sockets(table, strings)
    if table.kind == PROCESS.name:
        return _processes(table)
    return Counter({KINDS[table.kind].message_type: len(table)})


def _processes(table: Table) -> Counter[str]:
    states = (None, *PROCESS.columns["state"].closed)
    found = Counter[str]()
    for index, rows in enumerate(np.bincount(_column(table, "state")).tolist()):
        found[PROCESS_TYPES.get(states[index] or "", PROCESS.message_type)] += rows
    return +found


def _sockets(table: Table, strings: Sequence[str]) -> Counter[str]:
    """Return rows by type; those without protocol or address have the kind's own."""
    kind = KINDS[table.kind]
    protocols = (None, *kind.columns["protocol"].closed)
    address = _column(table, "local_address")
    if "remote_address" in kind.columns:
        address = np.where(address, address, _column(table, "remote_address"))
    named, of_row = np.unique(address, return_inverse=True)
    families = np.array([_family(strings[index - 1]) if index else 0 for index in named.tolist()])
    pairs = _column(table, "protocol").astype(np.int64) * 8 + families[of_row]
    found = Counter[str]()
    for pair, rows in enumerate(np.bincount(pairs).tolist()):
        protocol, family = protocols[pair >> 3], pair & 7
        found[SOCKET_TYPES.get((kind.name, protocol or "", family), kind.message_type)] += rows
    return +found


def _family(address: str) -> int:
    return 6 if ":" in address else 4


def _column(table: Table, name: str) -> NDArray[np.int64]:
    """Return a column's indexes; 0 in every row where nothing was sent."""
    vector = table.columns.get(name)
    return np.zeros(len(table), np.int64) if vector is None else np.asarray(vector.values, np.int64)
