"""The status of findings: open, accepted or resolved.

In: findings, suppressions and resolutions. Out: for each finding its status and who says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from analyzer.model import Resolution, Suppression
from analyzer.suppression.matching import Subject, matches
from analyzer.words import time_text

State = Literal["open", "accepted", "resolved"]
STATES: Final[tuple[State, ...]] = ("open", "accepted", "resolved")


@dataclass(frozen=True, slots=True)
class Status:
    """What is the case with a finding, and by whose word."""

    state: State
    suppression: Suppression | None = None
    resolution: Resolution | None = None

    def text(self) -> str:
        """Return who accepted or resolved it, why and until when; empty where it is open."""
        if self.suppression is not None:
            until = time_text(self.suppression.expires_us)[:10]
            return f"by {self.suppression.owner} until {until}: {self.suppression.reason}"
        if self.resolution is not None:
            on = time_text(self.resolution.at_us)[:10]
            note = f": {self.resolution.note}" if self.resolution.note else ""
            return f"by {self.resolution.owner} on {on}{note}"
        return ""


class Statuses:
    """Knows what people said, and looks it up for findings."""

    def __init__(
        self,
        suppressions: Iterable[Suppression],
        resolutions: Iterable[Resolution],
        *,
        now_us: int,
    ) -> None:
        """Sort out what counts now; of several suppressions the one that lasts longest does."""
        active = [each for each in suppressions if each.is_active(now_us)]
        active.sort(key=lambda each: (-each.expires_us, each.id))
        self._of_issue: dict[str, list[Suppression]] = defaultdict(list)
        self._wide: list[Suppression] = []
        for each in active:
            wanted = each.matcher.issue_id
            (self._of_issue[wanted] if wanted else self._wide).append(each)
        self._resolved: dict[str, Resolution] = {}
        for resolution in sorted(resolutions, key=lambda each: each.at_us):
            self._resolved[resolution.issue_id] = resolution

    def of(self, finding: Subject) -> Status:
        """Return the status of a finding."""
        suppression = self.suppression_of(finding)
        if suppression is not None:
            return Status("accepted", suppression=suppression)
        resolution = self._resolved.get(finding.issue_id)
        if resolution is not None and resolution.at_us >= finding.last_seen_us:
            return Status("resolved", resolution=resolution)
        return Status("open")

    def suppression_of(self, finding: Subject) -> Suppression | None:
        """Return what accepts a finding, or None."""
        candidates = (*self._of_issue.get(finding.issue_id, ()), *self._wide)
        return next((each for each in candidates if matches(each.matcher, finding)), None)
