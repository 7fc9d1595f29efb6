"""Coverage ledger: what was watched of each host and kind, as sets of intervals.

In: the interval of a run, what each host's header and coverage rows say. Out: watched intervals,
gaps and shares, so that "nothing found" is never confused with "could not look".
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rules.telemetry.sight import Pinned, sees

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rules.telemetry.batch import Coverage

_SHARE_SCALE = 1_000_000  # shares have at most six digits, so that they compare as text


class Intervals:
    """An immutable set of half-open intervals [from, to) of whole microseconds.

    Kept sorted, disjoint and merged, so that equal sets are equal objects.
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        """Build the union of ``pairs``; empty and reversed pairs hold nothing."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted(pair for pair in pairs if pair[0] < pair[1]):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        self._pairs = tuple(merged)

    @classmethod
    def of(cls, plain: Iterable[Sequence[int]]) -> Intervals:
        """Return the set of pairs that were read back from text or bytes."""
        return cls((start, end) for start, end in plain)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the intervals in order."""
        return iter(self._pairs)

    def __bool__(self) -> bool:
        """Tell whether anything is inside."""
        return bool(self._pairs)

    def __eq__(self, other: object) -> bool:
        """Compare as sets of moments."""
        return isinstance(other, Intervals) and self._pairs == other._pairs

    def __hash__(self) -> int:
        """Hash by content."""
        return hash(self._pairs)

    def __repr__(self) -> str:
        """Show the intervals."""
        return f"Intervals({list(self._pairs)!r})"

    def __or__(self, other: Intervals) -> Intervals:
        """Return the moments in either."""
        return Intervals((*self._pairs, *other._pairs))

    def __and__(self, other: Intervals) -> Intervals:
        """Return the moments in both."""
        pairs: list[tuple[int, int]] = []
        left, right = list(self._pairs), list(other._pairs)
        i = j = 0
        while i < len(left) and j < len(right):
            pairs.append((max(left[i][0], right[j][0]), min(left[i][1], right[j][1])))
            if left[i][1] < right[j][1]:
                i += 1
            else:
                j += 1
        return Intervals(pairs)

    def __sub__(self, other: Intervals) -> Intervals:
        """Return the moments in this set and not in ``other``."""
        if not self._pairs:
            return self
        return self & other.gaps(self._pairs[0][0], self._pairs[-1][1])

    def __contains__(self, moment: int) -> bool:
        """Tell whether a moment is inside."""
        return any(start <= moment < end for start, end in self._pairs)

    @property
    def total(self) -> int:
        """Return the length of all intervals together, microseconds."""
        return sum(end - start for start, end in self._pairs)

    def within(self, start: int, end: int) -> int:
        """Return how much of [start, end) is inside this set, microseconds."""
        return sum(
            min(to, end) - max(begin, start)
            for begin, to in self._pairs
            if begin < end and start < to
        )

    def gaps(self, start: int, end: int) -> Intervals:
        """Return what of [start, end) is outside this set."""
        edges = [start]
        for pair in self & Intervals([(start, end)]):
            edges.extend(pair)
        edges.append(end)
        return Intervals(zip(edges[::2], edges[1::2], strict=True))


@dataclass(slots=True)
class _Host:
    header: Intervals | None = None
    kinds: frozenset[str] | None = None
    rows: dict[str, list[Coverage]] = field(default_factory=lambda: defaultdict(list))
    """By kind; a row stands with each of its kinds."""
    late: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    lost: Counter[str] = field(default_factory=Counter)


class Ledger:
    """What was watched during the run [from_us, to_us]; order of additions does not matter."""

    def __init__(self, from_us: int, to_us: int) -> None:
        """Open the ledger of a run; a run of one moment counts as one microsecond."""
        self.from_us = from_us
        self.to_us = max(to_us, from_us + 1)
        self._run = Intervals([(self.from_us, self.to_us)])
        self._hosts: dict[str, _Host] = defaultdict(_Host)
        self._shares: dict[tuple[str, str, bool, frozenset[str]], float] = {}

    @property
    def agents(self) -> list[str]:
        """Return the agents the ledger knows, sorted."""
        return sorted(self._hosts)

    def add_host(
        self, agent_id: str, *, watched: Intervals | None = None, kinds: Iterable[str] | None = None
    ) -> None:
        """Enter a host; ``watched`` and ``kinds`` are what its header says, None without one."""
        host = self._hosts[agent_id]
        self._shares.clear()
        if watched is not None:
            host.header = watched if host.header is None else host.header | watched
        if kinds is not None:
            host.kinds = (host.kinds or frozenset()) | frozenset(kinds)

    def add_coverage(self, agent_id: str, row: Coverage) -> None:
        """Enter one coverage row and the losses it states."""
        host = self._hosts[agent_id]
        for kind in dict.fromkeys(row.kinds):
            host.rows[kind].append(row)
        self._shares.clear()
        host.lost.update(row.lost or {})

    def add_lost(self, agent_id: str, cause: str, events: int) -> None:
        """Count lost events that no coverage row states."""
        self._hosts[agent_id].lost[cause] += events

    def add_late(self, agent_id: str, kind: str, ts_us: int) -> None:
        """Count one event that came after its slice was sealed; its moment becomes degraded."""
        host = self._hosts[agent_id]
        host.lost["late"] += 1
        host.late[kind].append((ts_us, ts_us + 1))
        self._shares.clear()

    def lost(self, agent_id: str) -> dict[str, int]:
        """Return lost events of a host by cause, causes sorted."""
        return dict(sorted(self._hosts[agent_id].lost.items()))

    def collected(self, agent_id: str, kind: str, *, pinned: Pinned | None = None) -> bool:
        """Tell whether anything collected ``kind`` on the host, for rows that ``pinned`` names."""
        host = self._hosts[agent_id]
        rows = _rows_of(host, kind)
        if rows:
            return any(sees(row.sensor, kind, pinned) and row.state != "off" for row in rows)
        return host.kinds is None or kind in host.kinds

    def watched(
        self, agent_id: str, kind: str, *, absence: bool = False, pinned: Pinned | None = None
    ) -> Intervals:
        """Return when ``kind`` was watched on the host.

        Args:
            agent_id: The host.
            kind: A telemetry kind.
            absence: Whether the claim is that something was absent; then degraded moments do not
                count.
            pinned: What the rule's selector asks of columns; a sensor that cannot see such rows
                does not count.
        """
        host = self._hosts[agent_id]
        rows = _rows_of(host, kind)
        if not rows:
            if host.kinds is not None and kind not in host.kinds:
                return Intervals()
            whole = self._run if host.header is None else self._run & host.header
        else:
            whole = self._run & Intervals(
                (row.from_us, row.to_us)
                for row in rows
                if _counts(row, absence=absence) and sees(row.sensor, kind, pinned)
            )
        return whole - Intervals(host.late.get(kind, ())) if absence else whole

    def share(
        self, agent_id: str, kind: str, *, absence: bool = False, pinned: Pinned | None = None
    ) -> float:
        """Return the share of the run in which ``kind`` was watched, 0 to 1, six digits."""
        # Rules by the hundred ask the same of each host: only the sensors that count differ.
        sensors = {row.sensor for row in _rows_of(self._hosts[agent_id], kind)}
        seeing = frozenset(sensor for sensor in sensors if sees(sensor, kind, pinned))
        asked = agent_id, kind, absence, seeing
        if asked not in self._shares:
            watched = self.watched(agent_id, kind, absence=absence, pinned=pinned)
            self._shares[asked] = rounded_share(watched.total, self.to_us - self.from_us)
        return self._shares[asked]

    def sensors(self, agent_id: str, kind: str) -> list[str]:
        """Return the sensors that coverage rows name for ``kind``, sorted."""
        return sorted({row.sensor for row in _rows_of(self._hosts[agent_id], kind)})

    def off_reasons(self, agent_id: str, kind: str) -> list[str]:
        """Return what the coverage rows say of sensors that were not fully on for ``kind``."""
        return sorted(
            {
                f"{row.sensor} {row.state}" + (f" ({row.method})" if row.method else "")
                for row in _rows_of(self._hosts[agent_id], kind)
                if row.state != "on"
            }
        )


def rounded_share(part: int, whole: int) -> float:
    """Return ``part / whole`` with at most six digits, rounded down so that 1 means all of it."""
    return (part * _SHARE_SCALE // whole) / _SHARE_SCALE


def _rows_of(host: _Host, kind: str) -> list[Coverage]:
    return host.rows.get(kind, [])


def _counts(row: Coverage, *, absence: bool) -> bool:
    if row.state == "off":
        return False
    degraded = row.state == "degraded" or row.sampled_one_in > 1 or any((row.lost or {}).values())
    return not (absence and degraded)
