"""What people say about findings, in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.model import Resolution, Suppression
    from analyzer.store.memory.state import State


class MemorySuppressions:
    """Risks that are accepted, and issues that are called resolved."""

    def __init__(self, state: State) -> None:
        """Use a state."""
        self._state = state

    async def add(self, suppression: Suppression) -> None:
        """Insert a suppression."""
        self._state.suppressions[suppression.id] = suppression

    async def all(self) -> list[Suppression]:
        """Return every suppression, oldest first."""
        return list(self._state.suppressions.values())

    async def end(self, suppression_id: str, *, at_us: int) -> bool:
        """Take a suppression back; return whether it was there and had not been taken back."""
        known = self._state.suppressions.get(suppression_id)
        if known is None or known.ended_us is not None:
            return False
        self._state.suppressions[suppression_id] = replace(known, ended_us=at_us)
        return True

    async def put_resolution(self, resolution: Resolution) -> None:
        """Insert or replace what is said of an issue."""
        self._state.resolutions[resolution.issue_id] = resolution

    async def delete_resolution(self, issue_id: str) -> bool:
        """Remove what is said of an issue; return whether it was there."""
        return self._state.resolutions.pop(issue_id, None) is not None

    async def resolutions(self) -> list[Resolution]:
        """Return every resolution, by issue."""
        return [self._state.resolutions[name] for name in sorted(self._state.resolutions)]
