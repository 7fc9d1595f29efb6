"""Waiting: slices that are judged together, since most of what a slice costs is not its rows.

In: slices of any hosts. Out: all of them by host, once they are many. Nothing waits when somebody
asks what was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from analyzer.telemetry.slices import Slice

ENOUGH: Final = 524_288  # rows, about 20 MB


class Waiting:
    """The slices of each host that were not judged yet."""

    def __init__(self) -> None:
        """Start with none."""
        self._slices: dict[str, list[Slice]] = {}
        self._rows = 0

    @property
    def is_full(self) -> bool:
        """Tell whether there are enough rows."""
        return self._rows >= ENOUGH

    def add(self, piece: Slice, rows: int) -> None:
        """Let a slice wait, which has so many rows."""
        self._slices.setdefault(piece.agent_id, []).append(piece)
        self._rows += rows

    def take(self) -> dict[str, list[Slice]]:
        """Return all that waits, by host in the order of time."""
        slices, self._slices, self._rows = self._slices, {}, 0
        return slices
