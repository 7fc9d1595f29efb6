"""A notice: what one destination is told about one event.

In: a message of the outbox. Out: a value that each channel puts into its own form.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from analyzer.model import DomainEvent

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Notice:
    """One event, told; ``id`` is the same however often it is sent."""

    id: str
    event: DomainEvent

    @property
    def time(self) -> str:
        """Return when it happened: UTC, ISO 8601, with milliseconds."""
        moment = _EPOCH + timedelta(milliseconds=self.event.at_us // 1_000)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1_000:03d}Z"
