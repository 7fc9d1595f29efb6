"""Listeners: which sockets wait for peers, since when, and whose they are.

In: whole truths about the listening sockets of one protocol at a moment. Out: listener events, and
the answer to "was this local port a listener's?".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from agent.sensors.observations import Listener, owner_key
from rules.telemetry.event import Event

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from agent.sensors.observations import ListenersSeen
    from agent.sensors.sensor import Loss
    from agent.sensors.socket_rows import SocketRow, Transport
    from rules.telemetry.event import Process

MAX_LISTENERS: Final = 10_000  # sockets; above, new ones are lost as ``table_full``
REMEMBER_US: Final = 60_000_000  # a connection may outlive its listener: keep it for direction
MAX_REMEMBERED: Final = 1_024  # listeners that are gone
MAX_MATCHES: Final = 1_024  # answers remembered
_WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 (compared with, never bound)

_SocketKey: TypeAlias = int | tuple[str, int, int]
_Port: TypeAlias = tuple["Transport", int]


class _Unit(NamedTuple):
    """What one row is about: sockets that share a port (SO_REUSEPORT) in one process are one."""

    protocol: Transport
    address: str
    port: int
    pid: int | None


@dataclass(slots=True)
class _Entry:
    unit: _Unit
    listener: Listener
    source: str


class ListenerTable:
    """Listeners of this host, kept up to date by polls."""

    def __init__(self, lost: Counter[Loss], *, limit: int = MAX_LISTENERS) -> None:
        self._lost = lost
        self._limit = limit
        self._entries: dict[_SocketKey, _Entry] = {}
        self._current: tuple[Listener, ...] = ()
        self._ports: dict[_Port, list[Listener]] = {}
        self._gone: dict[_Port, tuple[int, Listener]] = {}
        self._matches: dict[tuple[Transport, str, int], Listener | None] = {}
        self._known: set[Transport] = set()
        self._refused = 0

    def update(self, seen: ListenersSeen) -> list[Event]:
        """Take in a poll; return what appeared and what went away, or is present at first."""
        before = {
            key: entry
            for key, entry in self._entries.items()
            if entry.unit.protocol == seen.protocol
        }
        after = self._entries_of(seen, before, room=self._limit - len(self._entries) + len(before))
        units_before = {entry.unit: entry for entry in before.values()}
        units_after = {entry.unit: entry for entry in after.values()}
        state = "opened" if seen.protocol in self._known else "present"
        self._known.add(seen.protocol)
        for key in before.keys() - after.keys():
            del self._entries[key]
        self._entries.update(after)
        gone = [entry for unit, entry in units_before.items() if unit not in units_after]
        for entry in gone:
            self.remember(entry.listener, seen.ts_us)
        self._index()
        return [_event(entry, "closed", seen.ts_us) for entry in gone] + [
            _event(entry, state, seen.ts_us)
            for unit, entry in units_after.items()
            if unit not in units_before
        ]

    def close(self, cookie: int, ts_us: int) -> list[Event]:
        """Take in that the kernel destroyed a socket; return an event if it was a listener."""
        entry = self._entries.pop(cookie, None)
        if entry is None:
            return []
        self._index()
        if any(other.unit == entry.unit for other in self._entries.values()):
            return []
        self.remember(entry.listener, ts_us)
        return [_event(entry, "closed", ts_us)]

    def remember(self, listener: Listener, ts_us: int) -> None:
        """Keep a listener that came and went between two polls, for direction only."""
        self._matches.clear()
        self._gone[listener.protocol, listener.port] = (ts_us, listener)
        for port, (since_us, _) in list(self._gone.items()):
            if since_us + REMEMBER_US < ts_us or len(self._gone) > MAX_REMEMBERED:
                del self._gone[port]

    def announce(self, ts_us: int) -> list[Event]:
        """Return every listener as ``present``, for somebody who has heard nothing yet."""
        units = {entry.unit: entry for entry in self._entries.values()}
        return [_event(entry, "present", ts_us) for entry in units.values()]

    def is_known(self, cookie: int) -> bool:
        """Tell whether a poll has shown this socket as a listener."""
        return cookie in self._entries

    def match(self, protocol: Transport, address: str, port: int) -> Listener | None:
        """Return the listener that a connection with this local end came in by, if any."""
        key = (protocol, address, port)
        if key in self._matches:
            return self._matches[key]
        if len(self._matches) >= MAX_MATCHES:
            self._matches.clear()
        return self._matches.setdefault(key, self._find(protocol, address, port))

    def current(self) -> tuple[Listener, ...]:
        """Return every listener, the sockets of one port and owner once."""
        return self._current

    def _find(self, protocol: Transport, address: str, port: int) -> Listener | None:
        candidates = self._ports.get((protocol, port), [])
        remembered = self._gone.get((protocol, port))
        if remembered is not None:
            candidates = [*candidates, remembered[1]]
        return matching(candidates, address)

    def _entries_of(
        self, seen: ListenersSeen, before: dict[_SocketKey, _Entry], *, room: int
    ) -> dict[_SocketKey, _Entry]:
        after: dict[_SocketKey, _Entry] = {}
        refused = 0
        for row in seen.rows:
            key = _key(row)
            if len(after) >= room:
                refused += 1
                continue
            process = seen.owners.get(owner_key(row))
            known = before.get(key)
            if known is None:
                after[key] = _new_entry(seen, row, process)
                continue
            if process is not None and process != known.listener.process:
                known.listener = known.listener._replace(process=process)
            after[key] = known
        self._lost["listener", "table_full"] += max(0, refused - self._refused)
        self._refused = refused
        return after

    def _index(self) -> None:
        self._current = tuple(
            {entry.unit: entry.listener for entry in self._entries.values()}.values()
        )
        self._matches.clear()
        self._ports = {}
        for listener in self._current:
            self._ports.setdefault((listener.protocol, listener.port), []).append(listener)


def matching(candidates: Sequence[Listener], address: str) -> Listener | None:
    """Return the listener of a port that takes connections to ``address``; one with owner first."""
    wildcards = _WILDCARDS if ":" not in address else _WILDCARDS[1:]
    found = [item for item in candidates if item.address == address] or [
        item for item in candidates if item.address in wildcards
    ]
    owned = [item for item in found if is_known(item.process)]
    return next(iter(owned or found), None)


def is_known(process: Process | None) -> bool:
    """Tell whether it is known which process it is, and not only whose."""
    return process is not None and process.pid is not None


def _key(row: SocketRow) -> _SocketKey:
    return row.cookie or (row.local_address, row.local_port, row.inode or row.pid or 0)


def _new_entry(seen: ListenersSeen, row: SocketRow, process: Process | None) -> _Entry:
    listener = Listener(seen.protocol, row.local_address, row.local_port, process)
    unit = _Unit(
        seen.protocol, row.local_address, row.local_port, None if process is None else process.pid
    )
    return _Entry(unit, listener, seen.source)


def _event(entry: _Entry, state: str, ts_us: int) -> Event:
    listener = entry.listener
    values = {
        "protocol": listener.protocol,
        "local_address": listener.address,
        "local_port": listener.port,
        "state": state,
        "attribution": "polled" if is_known(listener.process) else "unknown",
        "source": entry.source,
    }
    return Event("listener", ts_us, listener.process, values)
