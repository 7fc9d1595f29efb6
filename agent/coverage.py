"""Coverage: what each sensor watched, what it lost and what that cost, interval after interval.

In: what sensors say of themselves. Out: coverage rows. A row never claims more than what held
during the whole of its interval: of several states in it, the worst one counts.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rules.telemetry.header import Coverage

if TYPE_CHECKING:
    from agent.sensors.sensor import Loss, State, Watch

_ORDER: Final[tuple[State, ...]] = ("on", "degraded", "off")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class _Held:
    state: State
    method: str
    sampled_one_in: int = 1

    def worst(self, other: _Held) -> _Held:
        """Return the state that claims less; of equals the newer one."""
        return self if _ORDER.index(self.state) > _ORDER.index(other.state) else other


@dataclass(slots=True)
class SensorAccount:
    """What one sensor has to say at the next cut."""

    sensor: str
    _kinds: dict[str, _Held] = field(default_factory=dict)
    _now: dict[str, _Held] = field(default_factory=dict)
    _lost: Counter[Loss] = field(default_factory=Counter)
    _told: Counter[Loss] = field(default_factory=Counter)
    _cpu_s: float = 0.0

    def watch(self, watching: Iterable[Watch]) -> None:
        """Note what the sensor watches from now on."""
        self._now = {
            kind: _Held(each.state, each.method, each.sampled_one_in)
            for each in watching
            for kind in each.kinds
        }
        for kind, held in self._now.items():
            self._kinds[kind] = self._kinds.get(kind, held).worst(held)

    def forget_start(self) -> None:
        """Begin with what holds now, whatever was before: the first interval begins now."""
        self._kinds = dict(self._now)

    def fail(self, why: str) -> None:
        """Note that the sensor watches nothing from now on."""
        self._now = {kind: _Held("off", why) for kind in self._now}
        self._kinds.update(self._now)

    @property
    def collecting(self) -> frozenset[str]:
        """Return the kinds that the sensor watches now, fully or partly."""
        return frozenset(kind for kind, held in self._now.items() if held.state != "off")

    @property
    def state(self) -> State:
        """Return the state that all of its kinds have now; where they differ, it is degraded."""
        states = {held.state for held in self._now.values()}
        return "degraded" if len(states) > 1 else next(iter(states), "off")

    def lose(self, totals: Mapping[Loss, int]) -> None:
        """Note losses as totals since the sensor was made."""
        for loss, total in totals.items():
            if loss[0] in self._now:
                self._lost[loss] = max(self._lost[loss], total)

    def spend(self, cpu_s: float) -> None:
        """Note CPU time."""
        self._cpu_s += cpu_s

    def cut(
        self, from_us: int, to_us: int, *, kinds: frozenset[str], rss_bytes: int | None
    ) -> list[Coverage]:
        """Return rows of one interval, and begin the next; only for ``kinds``.

        Kinds of which the same holds share a row. CPU time stands on the first row alone.
        """
        lost = self._lost - self._told
        self._told = self._lost.copy()
        cpu_ms = int(self._cpu_s * 1_000)
        self._cpu_s -= cpu_ms / 1_000  # parts of a millisecond add up too
        groups: dict[tuple[_Held, tuple[tuple[str, int], ...]], list[str]] = {}
        for kind, held in sorted(self._kinds.items()):
            own = sorted((cause, count) for (of, cause), count in lost.items() if of == kind)
            groups.setdefault((held, tuple(own)), []).append(kind)
        self._kinds = dict(self._now)
        rows = [
            _row(self.sensor, kinds & frozenset(names), from_us, to_us, held=held, lost=dict(own))
            for (held, own), names in groups.items()
            if kinds & frozenset(names)
        ]
        return [
            replace(row, cpu_ms=cpu_ms if index == 0 else 0, rss_bytes=rss_bytes)
            for index, row in enumerate(rows)
        ]


def _row(
    sensor: str,
    kinds: frozenset[str],
    from_us: int,
    to_us: int,
    *,
    held: _Held,
    lost: dict[str, int],
) -> Coverage:
    state = "degraded" if lost and held.state == "on" else held.state
    return Coverage(
        sensor,
        tuple(sorted(kinds)),
        from_us,
        to_us,
        state,
        held.method,
        sampled_one_in=held.sampled_one_in,
        lost=lost or None,
    )


def merge_coverage(rows: Iterable[Coverage]) -> list[Coverage]:
    """Return the rows with those joined that follow each other and say the same.

    Losses and CPU time are added up, the greatest memory stays. Rows with losses stay apart, so
    that what they make uncertain does not grow.
    """
    merged: list[Coverage] = []
    latest: dict[tuple[object, ...], int] = {}
    for row in rows:
        key = (row.sensor, row.kinds, row.state, row.method, row.sampled_one_in, not row.lost)
        index = latest.get(key)
        if index is not None and merged[index].to_us == row.from_us and not row.lost:
            before = merged[index]
            merged[index] = replace(
                before,
                to_us=row.to_us,
                cpu_ms=(before.cpu_ms or 0) + (row.cpu_ms or 0),
                rss_bytes=max(before.rss_bytes or 0, row.rss_bytes or 0) or None,
            )
        else:
            latest[key] = len(merged)
            merged.append(row)
    return merged


def read_own_memory() -> int | None:
    """Return the resident memory of this process, in bytes; None where /proc does not tell."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return None
