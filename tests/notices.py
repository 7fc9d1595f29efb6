"""Notices as tests send them: one of each event, with the examples of Inspector's own format."""

from __future__ import annotations

from typing import Any, Final

from analyzer.model import DomainEvent, EventKind, RunState
from analyzer.notify.notice import Notice

TARGET: Final = "arn:aws:inspector:eu-west-1:111122223333:target/0-AbCd12Ef"
TEMPLATE: Final = f"{TARGET}/template/0-Gh34IjKl"
RUN: Final = f"{TEMPLATE}/run/0-Mn56OpQr"
FINDING: Final = f"{RUN}/finding/0-St78UvWx"
PACKAGES: Final = {
    "arn:aws:inspector:eu-west-1:357557129151:rulespackage/0-lLmwe1zd": 3,
    "arn:aws:inspector:eu-west-1:357557129151:rulespackage/0-SnojL3Z6": 2,
}
AT_US: Final = 1_795_510_800_123_456  # 2026-11-24T09:00:00.123456Z


def _of(kind: EventKind, **more: Any) -> DomainEvent:  # noqa: ANN401 (fields of several types)
    fields: dict[str, Any] = {"template_arn": TEMPLATE, "target_arn": TARGET, "run_arn": RUN}
    return DomainEvent(kind=kind, at_us=AT_US, **{**fields, **more})


def notice(kind: EventKind, *, notice_id: str = "n-1") -> Notice:
    """Return a notice of an event, with every field that such an event has."""
    return Notice(notice_id, _EVENTS[kind])


def event(kind: EventKind) -> DomainEvent:
    return _EVENTS[kind]


_EVENTS: Final = {
    EventKind.OTHER: DomainEvent(kind=EventKind.OTHER, at_us=AT_US, template_arn="", target_arn=""),
    EventKind.NOTIFICATIONS_ENABLED: _of(EventKind.NOTIFICATIONS_ENABLED, run_arn=""),
    EventKind.RUN_STARTED: _of(EventKind.RUN_STARTED),
    EventKind.RUN_STATE_CHANGED: _of(EventKind.RUN_STATE_CHANGED, state=RunState.COLLECTING_DATA),
    EventKind.RUN_COMPLETED: _of(EventKind.RUN_COMPLETED, findings_count=PACKAGES),
    EventKind.FINDING_REPORTED: _of(
        EventKind.FINDING_REPORTED,
        finding_arn=FINDING,
        severity="High",
        title="Telnet was used to log in",
        rule="clear-text-login",
        agent_id="i-0a1b2c3d",
    ),
}
