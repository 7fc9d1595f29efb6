"""Charts: numbers as the widths of stacked bars.

In: counts by name. Out: segments in the units of the drawing; whatever lays out a page fills them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 120
"""Units of the longest bar."""
_LEAST: Final = 2  # units of a count that is not zero: one High among thousands must be seen


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a stacked bar, from its left end."""

    name: str
    x: int
    width: int


def stacked(counts: Iterable[tuple[str, int]], *, whole: int) -> tuple[Segment, ...]:
    """Return the segments of a bar, in the order of the counts and without empty ones.

    Args:
        counts: Name and number of each part.
        whole: The number that is ``WIDTH`` long; parts that must be seen may make a bar longer.
    """
    segments: list[Segment] = []
    end = 0
    for name, count in counts:
        if count:
            width = max(_LEAST, round(count * WIDTH / max(whole, count)))
            segments.append(Segment(name, end, width))
            end += width
    return tuple(segments)
