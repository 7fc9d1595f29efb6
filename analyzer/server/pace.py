"""Pace: when the run clock ticks again: soon after something came, else now and then.

In: word that something came, and how long the last tick took. Out: a rest. What comes is judged
within a moment, and yet ticks leave most of the time to ingest, however long one takes.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

LONGEST_S: Final = 0.5  # between ticks while nothing comes: time alone moves runs on
LEAST_S: Final = 0.1  # between ticks, so that what many hosts send at once is judged together
_REST_PER_WORK: Final = 1.0  # rest that a tick earns: half of the time is for everything else


class Pace:
    """Lets a loop rest until there is something to do."""

    def __init__(self, *, longest_s: float = LONGEST_S, least_s: float = LEAST_S) -> None:
        """Rest between ``least_s`` and ``longest_s``."""
        self._longest_s = longest_s
        self._least_s = least_s
        self._news = asyncio.Event()

    def hurry(self) -> None:
        """Say that something came: this rest, or the next one, is a short one."""
        self._news.set()

    async def rest(self, *, worked_s: float) -> None:
        """Wait for news after work that took ``worked_s``; what came meanwhile counts as news."""
        least_s = min(self._longest_s, max(self._least_s, _REST_PER_WORK * worked_s))
        await asyncio.sleep(least_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._longest_s - least_s):
                await self._news.wait()
        self._news.clear()
