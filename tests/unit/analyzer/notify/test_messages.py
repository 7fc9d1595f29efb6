from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from analyzer.model import EventKind
from analyzer.notify.cloud_event import CONTENT_TYPE, TYPES, cloud_event
from analyzer.notify.notice import Notice
from analyzer.notify.plain_text import plain_text
from analyzer.notify.sns_message import java_map, sns_message
from tests.notices import AT_US, FINDING, PACKAGES, RUN, TARGET, TEMPLATE, event, notice

TIME = "2026-11-24T09:00:00.123Z"
COMMON = {"template": TEMPLATE, "target": TARGET, "time": TIME}
COUNTS = (
    "{arn:aws:inspector:eu-west-1:357557129151:rulespackage/0-SnojL3Z6=2, "
    "arn:aws:inspector:eu-west-1:357557129151:rulespackage/0-lLmwe1zd=3}"
)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (EventKind.RUN_STARTED, {"run": RUN, "event": "ASSESSMENT_RUN_STARTED"}),
        (
            EventKind.RUN_STATE_CHANGED,
            {
                "run": RUN,
                "event": "ASSESSMENT_RUN_STATE_CHANGED",
                "newstate": "COLLECTING_DATA",
            },
        ),
        (
            EventKind.FINDING_REPORTED,
            {"run": RUN, "event": "FINDING_REPORTED", "finding": FINDING},
        ),
        (
            EventKind.RUN_COMPLETED,
            {"run": RUN, "event": "ASSESSMENT_RUN_COMPLETED", "findingsCount": COUNTS},
        ),
        (EventKind.NOTIFICATIONS_ENABLED, {"event": "ENABLE_ASSESSMENT_NOTIFICATIONS"}),
    ],
)
def test_sns_message_has_inspectors_fields(kind: EventKind, fields: dict[str, str]) -> None:
    assert json.loads(sns_message(notice(kind))) == COMMON | fields


def test_sns_message_keeps_inspectors_order() -> None:
    message = sns_message(notice(EventKind.RUN_STATE_CHANGED))
    assert list(json.loads(message)) == ["template", "target", "run", "time", "event", "newstate"]
    assert ": " not in message


@pytest.mark.parametrize(
    ("counts", "text"), [({}, "{}"), ({"a": 0}, "{a=0}"), ({"b": 1, "a": 2}, "{a=2, b=1}")]
)
def test_java_map_can_be_taken_apart_as_receivers_do(counts: dict[str, int], text: str) -> None:
    assert java_map(counts) == text
    pairs = [pair.strip().split("=") for pair in text.strip("{}").split(",") if pair]
    assert {key: int(count) for key, count in pairs} == counts


@pytest.mark.parametrize(
    ("at_us", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (999, "1970-01-01T00:00:00.000Z"), (AT_US, TIME)],
)
def test_time_is_cut_to_milliseconds(at_us: int, text: str) -> None:
    assert Notice("n", replace(event(EventKind.OTHER), at_us=at_us)).time == text


@pytest.mark.parametrize("kind", list(EventKind))
def test_cloud_event_is_read_by_the_sdk(kind: EventKind) -> None:
    message = HTTPMessage(headers={"content-type": CONTENT_TYPE}, body=cloud_event(notice(kind)))
    read = from_http_event(message)
    assert read.get_specversion() == "1.0"
    assert read.get_id() == "n-1"
    assert read.get_type() == TYPES[kind]
    assert str(read.get_time()) == "2026-11-24 09:00:00.123000+00:00"
    assert read.get_source() == ("/proctor" if kind is EventKind.OTHER else TEMPLATE)


@pytest.mark.parametrize(
    ("kind", "subject", "more"),
    [
        (EventKind.RUN_STARTED, RUN, {}),
        (EventKind.RUN_STATE_CHANGED, RUN, {"state": "COLLECTING_DATA"}),
        (EventKind.RUN_COMPLETED, RUN, {"findings_count": PACKAGES}),
        (
            EventKind.FINDING_REPORTED,
            FINDING,
            {
                "finding": {
                    "arn": FINDING,
                    "severity": "High",
                    "title": "Telnet was used to log in",
                    "rule": "clear-text-login",
                    "agent_id": "i-0a1b2c3d",
                }
            },
        ),
    ],
)
def test_cloud_event_says_what_happened(
    kind: EventKind, subject: str, more: dict[str, Any]
) -> None:
    read = json.loads(cloud_event(notice(kind)))
    assert read["subject"] == subject
    assert read["data"] == {"template": TEMPLATE, "target": TARGET, "run": RUN} | more


def test_cloud_event_of_no_run_has_no_subject() -> None:
    read = json.loads(cloud_event(notice(EventKind.NOTIFICATIONS_ENABLED)))
    assert "subject" not in read
    assert read["data"] == {"template": TEMPLATE, "target": TARGET}


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (EventKind.RUN_STARTED, "Proctor: assessment run started"),
        (EventKind.RUN_STATE_CHANGED, "Proctor: assessment run is COLLECTING_DATA"),
        (EventKind.RUN_COMPLETED, "Proctor: assessment run completed with 5 findings"),
        (EventKind.FINDING_REPORTED, "Proctor: [High] Telnet was used to log in"),
        (EventKind.NOTIFICATIONS_ENABLED, "Proctor: notifications enabled"),
        (EventKind.OTHER, "Proctor: this destination works"),
    ],
)
def test_plain_text_says_it_in_one_line(kind: EventKind, title: str) -> None:
    text = plain_text(notice(kind))
    assert text.title == title
    assert text.body.endswith(f"Time: {TIME}")


def test_plain_text_of_a_finding_names_host_and_rule() -> None:
    body = plain_text(notice(EventKind.FINDING_REPORTED)).body
    assert "Rule: clear-text-login\nHost: i-0a1b2c3d\n" in body
