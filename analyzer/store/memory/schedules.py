"""Schedules in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.model import Schedule
    from analyzer.store.memory.state import State


class MemorySchedules:
    """Recurring runs."""

    def __init__(self, state: State) -> None:
        """Use a state."""
        self._state = state

    async def put(self, schedule: Schedule) -> None:
        """Insert or replace a schedule."""
        self._state.schedules[schedule.name] = schedule

    async def get(self, name: str) -> Schedule | None:
        """Return a schedule, or None."""
        return self._state.schedules.get(name)

    async def all(self) -> list[Schedule]:
        """Return every schedule, by name."""
        return [self._state.schedules[name] for name in sorted(self._state.schedules)]

    async def due(self, now_us: int) -> list[Schedule]:
        """Return the schedules whose time has come, by name."""
        return [
            item for item in await self.all() if item.next_us is not None and item.next_us <= now_us
        ]

    async def delete(self, name: str) -> bool:
        """Remove a schedule; return whether it was there."""
        return self._state.schedules.pop(name, None) is not None
