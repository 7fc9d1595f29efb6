"""A notice in words, for people: chat rooms, e-mail, telephones.

In: a notice. Out: a title of one line, and a body.
"""

from __future__ import annotations

from typing import NamedTuple

from analyzer.model import DomainEvent, EventKind
from analyzer.notify.notice import Notice


class PlainText(NamedTuple):
    """What a person reads."""

    title: str
    body: str


def plain_text(notice: Notice) -> PlainText:
    """Return a notice in words."""
    event = notice.event
    lines = [f"Assessment run: {event.run_arn}"] if event.run_arn else []
    if event.finding_arn:
        lines = [f"Rule: {event.rule}", f"Host: {event.agent_id}", f"Finding: {event.finding_arn}"]
    counts = event.findings_count or {}
    lines += [f"{count} of {arn}" for arn, count in sorted(counts.items())]
    lines.append(f"Time: {notice.time}")
    return PlainText(f"Proctor: {_title(event)}", "\n".join(lines))


def _title(event: DomainEvent) -> str:
    match event.kind:
        case EventKind.RUN_STARTED:
            return "assessment run started"
        case EventKind.RUN_STATE_CHANGED:
            return f"assessment run is {event.state}"
        case EventKind.RUN_COMPLETED:
            counts = event.findings_count or {}
            return f"assessment run completed with {sum(counts.values())} findings"
        case EventKind.FINDING_REPORTED:
            return f"[{event.severity}] {event.title}"
        case EventKind.NOTIFICATIONS_ENABLED:
            return "notifications enabled"
        case EventKind.OTHER:
            return "this destination works"
