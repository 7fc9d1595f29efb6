"""The CloudEvents 1.0 envelope of webhooks and MQTT: structured mode, JSON format.

In: a notice. Out: the bytes of one event. Source: CloudEvents 1.0.2, JSON Event Format.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from analyzer.model import DomainEvent, EventKind
from analyzer.notify.notice import Notice

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
TYPES: Final = {
    EventKind.RUN_STARTED: "proctor.assessment-run.started",
    EventKind.RUN_STATE_CHANGED: "proctor.assessment-run.state-changed",
    EventKind.RUN_COMPLETED: "proctor.assessment-run.completed",
    EventKind.FINDING_REPORTED: "proctor.finding.reported",
    EventKind.NOTIFICATIONS_ENABLED: "proctor.notifications.enabled",
    EventKind.OTHER: "proctor.notifications.test",
}
_NO_SOURCE: Final = "/proctor"  # of a trial, which no template sends


def cloud_event(notice: Notice) -> bytes:
    """Return a notice as a structured event; its id is the notice's."""
    event = notice.event
    subject = event.finding_arn or event.run_arn
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": notice.id,
        "type": TYPES[event.kind],
        "source": event.template_arn or _NO_SOURCE,
        "time": notice.time,
        "datacontenttype": "application/json",
        "data": _data(event),
    }
    if subject:
        envelope["subject"] = subject
    return msgspec.json.encode(envelope)


def _data(event: DomainEvent) -> dict[str, Any]:
    data: dict[str, Any] = {
        "template": event.template_arn,
        "target": event.target_arn,
        "run": event.run_arn,
        "state": "" if event.state is None else event.state.value,
    }
    if event.finding_arn:
        data["finding"] = {
            "arn": event.finding_arn,
            "severity": event.severity,
            "title": event.title,
            "rule": event.rule,
            "agent_id": event.agent_id,
        }
    if event.findings_count is not None:
        data["findings_count"] = event.findings_count
    return {key: value for key, value in data.items() if value != ""}
