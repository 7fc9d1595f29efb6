"""Shape: how large a fleet's day is, and how its events are split over kinds.

In: what the command line says. Out: totals per kind, and a name for the folder that keeps the data.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

GENERATION: Final = 1  # raised whenever the same shape makes other data
START_US: Final = 1_767_571_200_000_000  # 2026-01-05 00:00 UTC, a Monday
DAY_US: Final = 86_400_000_000
END_US: Final = START_US + DAY_US
SHARES: Final[Mapping[str, float]] = {
    "connection": 0.88,
    "tls_session": 0.07,
    "aws_call": 0.04,
    "process": 0.006,
    "dns_answer": 0.002,
    "imds_request": 0.001,
    "listener": 0.001,
}
"""Share of each telemetry kind in all events."""
EVENTS_PER_BURST: Final = 200_000
BURST_TYPES: Final = 7  # each of them happens at least once


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One day of a fleet.

    Attributes:
        events: Rows of all kinds and hosts.
        hosts: Their number; some are far busier than others.
        violating: One event in so many matches a rule that looks at single events.
        seed: Another seed makes another day.
    """

    events: int
    hosts: int = 500
    violating: int = 3_700
    seed: int = 7

    @property
    def name(self) -> str:
        """Return a name that no other shape has."""
        return f"fleet{GENERATION}-{self.events}-{self.hosts}-{self.violating}-{self.seed}"

    @property
    def totals(self) -> dict[str, int]:
        """Return the number of rows of each kind; they add up to ``events``."""
        totals = {kind: int(self.events * share) for kind, share in SHARES.items()}
        totals["connection"] += self.events - sum(totals.values())
        return totals

    @property
    def bursts(self) -> int:
        """Return how many bursts a day holds: scans, floods, large uploads."""
        return max(BURST_TYPES, self.events // EVENTS_PER_BURST)


def parse_events(text: str) -> int:
    """Return a number of events: ``10000000``, ``10e6`` or ``10M``."""
    scale = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower())
    number = float(text[:-1]) * scale if scale else float(text)
    if number < 1 or number != int(number):
        message = f"{text} is no number of events"
        raise argparse.ArgumentTypeError(message)
    return int(number)
