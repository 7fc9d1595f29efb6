"""Rows of connections: what is known of one, and the events that tell its opening and its end.

In: ends, process and listener of a connection. Out: events, each with the best grade.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from agent.correlate.listeners import is_known
from rules.telemetry.event import Event

if TYPE_CHECKING:
    from agent.sensors.observations import Listener
    from agent.sensors.socket_rows import ClosedSocket, SocketRow, Transport
    from rules.telemetry.event import Process


class Ends(NamedTuple):
    """Both ends of a connection; the remote one is None where the kernel has forgotten it."""

    protocol: Transport
    local_address: str
    local_port: int
    remote_address: str | None
    remote_port: int | None


@dataclass(slots=True)
class Connection:
    """What is known of one local side."""

    ends: Ends
    source: str
    is_inbound: bool
    opened_us: int
    is_start_known: bool
    process: Process | None
    listener: Listener | None
    grade: Literal["exact", "polled"] = "polled"
    """How ``process`` is known, if it is."""
    is_elsewhere: bool = False
    """Whether it is known to be of another network namespace."""
    missed_polls: int = 0


def ends_of_row(row: SocketRow, protocol: Transport) -> Ends:
    """Return the ends of a socket that a poll has shown."""
    return Ends(protocol, row.local_address, row.local_port, row.remote_address, row.remote_port)


def ends_of_closed(closed: ClosedSocket) -> Ends:
    """Return the ends of a destroyed socket; no peer where this host aborted it."""
    if closed.remote_port == 0:
        return Ends("tcp", closed.local_address, closed.local_port, None, None)
    return Ends(
        "tcp", closed.local_address, closed.local_port, closed.remote_address, closed.remote_port
    )


def opened_row(connection: Connection, ts_us: int) -> Event:
    """Return the row of its opening."""
    return _event(connection, ts_us, "opened")


def closed_row(
    connection: Connection,
    ts_us: int,
    *,
    bytes_sent: int | None = None,
    bytes_received: int | None = None,
) -> Event:
    """Return the row of its end, with a duration where the start is known."""
    event = _event(connection, ts_us, "closed")
    values = event.values
    if connection.is_start_known:
        values["duration_us"] = max(0, ts_us - connection.opened_us)
    if bytes_sent is not None:
        values["bytes_sent"] = bytes_sent
    if bytes_received is not None:
        values["bytes_received"] = bytes_received
    return event


def _attribute(connection: Connection) -> tuple[str, Process | None]:
    """Return grade and process: the socket's holder, else the listener's, else the user at most."""
    process = connection.process
    if process is not None and process.pid is not None:
        return connection.grade, process
    listening = connection.listener.process if connection.listener is not None else None
    if is_known(listening):
        return "listener", listening
    return "unknown", process or listening


def _event(connection: Connection, ts_us: int, state: str) -> Event:
    protocol, local_address, local_port, remote_address, remote_port = connection.ends
    attribution, process = _attribute(connection)
    values: dict[str, Any] = {
        "direction": "inbound" if connection.is_inbound else "outbound",
        "protocol": protocol,
        "local_address": local_address,
        "local_port": local_port,
        "attribution": attribution,
        "source": connection.source,
        "state": state,
    }
    if remote_port is not None:
        values["remote_address"] = remote_address
        values["remote_port"] = remote_port
    return Event("connection", ts_us, process, values)
