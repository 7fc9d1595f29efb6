"""What was watched of a rule's telemetry, and in words why it was not enough.

In: a detection and the coverage ledger of a run. Out: the coverage of a (rule, host) and, where
nothing may be concluded from silence, a reason for the operator.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from rules.detection import AbsenceDetection, Detection
from rules.selector import Selector
from rules.telemetry.ledger import Ledger, rounded_share
from rules.telemetry.sight import PARTIAL_SIGHT, Pinned

CLEAN_NEEDS: Final = 0.5  # share of the run below which silence says nothing


@dataclass(frozen=True, slots=True)
class Watched:
    """How much of what a rule needs was watched on a host.

    Attributes:
        coverage: Share of the run, of two kinds the smaller; 0 where not collected.
        reason: Why silence proves nothing, in words for people; None where it proves something.
    """

    coverage: float
    reason: str | None = None


def watched(detection: Detection, agent_id: str, ledger: Ledger) -> Watched:
    """Return how much of what ``detection`` needs was watched on a host."""
    parts = [_part(detection, selector, agent_id, ledger) for selector in detection.selectors]
    reasons = dict.fromkeys(part.reason for part in parts if part.reason is not None)
    return Watched(min(part.coverage for part in parts), "; ".join(reasons) or None)


def need_of(detection: Detection) -> Hashable:
    """Return what ``watched`` looks at: detections of equal needs have been watched alike."""
    absence = isinstance(detection, AbsenceDetection)
    share = detection.min_coverage if isinstance(detection, AbsenceDetection) else CLEAN_NEEDS
    return absence, share, tuple(map(_confinement, detection.selectors))


def _confinement(selector: Selector) -> Hashable:
    """Return the kind of a selector, and what decides which sensors see its rows."""
    kind = selector.telemetry
    columns = {
        column for (_, seen), sight in PARTIAL_SIGHT.items() if seen == kind for column in sight
    }
    return kind, frozenset(
        (column, values) for column, values in selector.pinned.items() if column in columns
    )


class Sight:
    """When a host was watched for what a rule needs, for questions about parts of the run."""

    def __init__(self, detection: Detection, agent_id: str, ledger: Ledger) -> None:
        """Look it up once for all questions about one rule and host."""
        self._run = (ledger.from_us, ledger.to_us)
        absence = isinstance(detection, AbsenceDetection)
        self.watched = [
            ledger.watched(agent_id, part.telemetry, absence=absence, pinned=part.pinned)
            for part in detection.selectors
        ]
        """For each selector, in the order of ``detection.selectors``."""

    def share(self, window: tuple[int, int]) -> float:
        """Return the share of a window that was watched, of two kinds the smaller.

        What lies outside of the run does not count, and a moment is one microsecond long.
        """
        from_us = min(max(window[0], self._run[0]), self._run[1] - 1)
        to_us = max(min(window[1], self._run[1]), from_us + 1)
        part = min(seen.within(from_us, to_us) for seen in self.watched)
        return rounded_share(part, to_us - from_us)


def _part(detection: Detection, selector: Selector, agent_id: str, ledger: Ledger) -> Watched:
    kind, pinned = selector.telemetry, selector.pinned
    absence = isinstance(detection, AbsenceDetection)
    if not ledger.collected(agent_id, kind, pinned=pinned):
        return Watched(0.0, _not_collected(selector, agent_id, ledger))
    share = ledger.share(agent_id, kind, absence=absence, pinned=pinned)
    needed = detection.min_coverage if isinstance(detection, AbsenceDetection) else CLEAN_NEEDS
    if share >= needed:
        return Watched(share)
    if absence:
        what = f"{kind} was watched without loss for only {_percent(share)} of the run"
        need = f"this rule needs {_percent(needed)} (min_coverage) to say that something was absent"
    else:
        what = f"{kind} was watched for only {_percent(share)} of the run"
        need = f"at least {_percent(needed)} is needed to call the host clean"
    return Watched(share, f"{what}, and {need}{_causes(agent_id, kind, ledger)}")


def _not_collected(selector: Selector, agent_id: str, ledger: Ledger) -> str:
    kind = selector.telemetry
    if not ledger.collected(agent_id, kind):
        return f"{kind} was not collected on this host{_causes(agent_id, kind, ledger)}"
    return (
        f"no sensor of this host can see the {kind} rows that this rule asks for "
        f"({'; '.join(_sights(agent_id, kind, ledger))}){_causes(agent_id, kind, ledger)}"
    )


def _sights(agent_id: str, kind: str, ledger: Ledger) -> list[str]:
    return [
        f"{sensor} sees only rows where {_confined(PARTIAL_SIGHT[sensor, kind])}"
        for sensor in ledger.sensors(agent_id, kind)
        if (sensor, kind) in PARTIAL_SIGHT
    ]


def _confined(sight: Pinned) -> str:
    parts = [f"{name} is {' or '.join(sorted(map(str, sight[name])))}" for name in sight]
    return " and ".join(parts)


def _causes(agent_id: str, kind: str, ledger: Ledger) -> str:
    """Return which sensors were not fully on, and what was lost on the host, after a colon."""
    causes = ledger.off_reasons(agent_id, kind)
    causes += [f"{events} events lost ({cause})" for cause, events in ledger.lost(agent_id).items()]
    return f": {', '.join(causes)}" if causes else ""


def _percent(share: float) -> str:
    """Return a share in percent, cut to one digit so that it never looks larger than it is."""
    tenths = round(share * 1e6) // 1_000
    return f"{tenths / 10:g} %"
