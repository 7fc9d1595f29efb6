"""SNS as moto serves it: messages read back from a queue, and refusals by their codes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from analyzer.errors import DeliveryError
from analyzer.model import EventKind
from analyzer.notify.destination import Channel, Destination
from analyzer.notify.sns import SnsNotifier
from tests.notices import FINDING, RUN, TARGET, TEMPLATE, notice
from tests.topics_server import ACCOUNT, CREDENTIALS, REGION, TopicsServer, topics_server

pytestmark = pytest.mark.allow_blocking  # moto's client in the test itself
TIME = "2026-11-24T09:00:00.123Z"
COUNTS = (
    "{arn:aws:inspector:eu-west-1:357557129151:rulespackage/0-SnojL3Z6=2, "
    "arn:aws:inspector:eu-west-1:357557129151:rulespackage/0-lLmwe1zd=3}"
)


@pytest.fixture(scope="module")
def server() -> Iterator[TopicsServer]:
    with topics_server() as running:
        yield running


@pytest.fixture
async def notifier(
    server: TopicsServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SnsNotifier]:
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_SNS": server.url}.items():
        monkeypatch.setenv(name, value)
    made = SnsNotifier()
    yield made
    await made.close()


def to(arn: str) -> Destination:
    return Destination(Channel.SNS, arn)


async def test_every_event_arrives_field_for_field(
    server: TopicsServer, notifier: SnsNotifier
) -> None:
    topic = server.topic("all-events")
    for event in EventKind:
        if event is not EventKind.OTHER:
            await notifier.deliver(notice(event), to(topic.arn))
    common = {"template": TEMPLATE, "target": TARGET, "time": TIME}
    found = {message["event"]: message for message in topic.messages(5)}
    assert found == {
        "ASSESSMENT_RUN_STARTED": {**common, "run": RUN, "event": "ASSESSMENT_RUN_STARTED"},
        "ASSESSMENT_RUN_STATE_CHANGED": {
            **common,
            "run": RUN,
            "event": "ASSESSMENT_RUN_STATE_CHANGED",
            "newstate": "COLLECTING_DATA",
        },
        "FINDING_REPORTED": {
            **common,
            "run": RUN,
            "event": "FINDING_REPORTED",
            "finding": FINDING,
        },
        "ASSESSMENT_RUN_COMPLETED": {
            **common,
            "run": RUN,
            "event": "ASSESSMENT_RUN_COMPLETED",
            "findingsCount": COUNTS,
        },
        "ENABLE_ASSESSMENT_NOTIFICATIONS": {**common, "event": "ENABLE_ASSESSMENT_NOTIFICATIONS"},
    }


async def test_message_has_neither_subject_nor_attributes(
    server: TopicsServer, notifier: SnsNotifier
) -> None:
    topic = server.topic("bare")
    await notifier.deliver(notice(EventKind.RUN_STARTED), to(topic.arn))
    (envelope,) = topic.envelopes(1)
    assert not envelope.get("Subject")
    assert "MessageAttributes" not in envelope


async def test_many_at_a_time_all_arrive(server: TopicsServer, notifier: SnsNotifier) -> None:
    topic = server.topic("many")
    await asyncio.gather(
        *(notifier.deliver(notice(EventKind.RUN_STARTED), to(topic.arn)) for _ in range(10))
    )
    assert len(topic.envelopes(10)) == 10


async def test_absent_topic_is_told_apart(notifier: SnsNotifier) -> None:
    arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:nowhere"
    with pytest.raises(DeliveryError) as caught:
        await notifier.deliver(notice(EventKind.RUN_STARTED), to(arn))
    assert (caught.value.code, caught.value.is_final) == ("TOPIC_DOES_NOT_EXIST", True)
    assert await notifier.check(arn) == "TOPIC_DOES_NOT_EXIST"


async def test_existing_topic_passes_the_check(server: TopicsServer, notifier: SnsNotifier) -> None:
    assert await notifier.check(server.topic("checked").arn) == "SUCCESS"


async def test_service_that_is_away_may_come_back(
    notifier: SnsNotifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:9")
    with pytest.raises(DeliveryError) as caught:
        await notifier.deliver(
            notice(EventKind.RUN_STARTED), to(f"arn:aws:sns:{REGION}:{ACCOUNT}:topic")
        )
    assert (caught.value.code, caught.value.is_final) == ("INTERNAL_ERROR", False)


@pytest.mark.parametrize("arn", ["nonsense", "arn:aws:sns:no_region!:1:topic"])
async def test_topic_that_is_no_arn_is_an_error_of_delivery(
    notifier: SnsNotifier, arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(DeliveryError):
        await notifier.deliver(notice(EventKind.RUN_STARTED), to(arn))


class _Metadata(BaseHTTPRequestHandler):
    """Metadata of an instance that gives no token, so that version 1 alone would work."""

    asked: ClassVar[list[str]] = []

    def do_PUT(self) -> None:
        self.asked.append(f"PUT {self.path}")
        self.send_error(403)

    def do_GET(self) -> None:
        self.asked.append(f"GET {self.path}")
        self.send_error(404)

    def log_message(self, *_: object) -> None: ...


async def test_credentials_are_never_asked_for_by_imds_v1(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server would be a finding of its own rules."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Metadata) as metadata:
        threading.Thread(target=metadata.serve_forever, daemon=True).start()
        for name in CREDENTIALS:
            monkeypatch.delenv(name, raising=False)
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            monkeypatch.setenv(name, "/nonexistent")
        url = f"http://127.0.0.1:{metadata.server_port}"
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
        alone = SnsNotifier()
        assert await alone.check(f"arn:aws:sns:{REGION}:{ACCOUNT}:any") == "INTERNAL_ERROR"
        await alone.close()
        metadata.shutdown()
    assert _Metadata.asked == ["PUT /latest/api/token"]
