"""What each notifier promises, over real servers on 127.0.0.1 and in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import aiomqtt
import pytest
from standardwebhooks import Webhook

from analyzer.errors import DeliveryError
from analyzer.ingest.mqtt import BrokerAddress
from analyzer.model import EventKind
from analyzer.notify.apprise_urls import AppriseNotifier
from analyzer.notify.destination import Channel, Destination, Notifier
from analyzer.notify.memory import MemoryNotifier
from analyzer.notify.mqtt import MqttNotifier
from analyzer.notify.sns import SnsNotifier
from analyzer.notify.webhook import WebhookNotifier
from rules.telemetry.clock import SystemClock
from tests.brokers import Broker, running
from tests.notices import notice
from tests.receivers import Receiver, receiving
from tests.topics_server import CREDENTIALS, topics_server

pytestmark = pytest.mark.allow_blocking  # boto3 and brokers are started in the test itself


@dataclass
class Place:
    """A notifier, where it delivers to, how many came, and a place that refuses."""

    notifier: Notifier
    destination: Destination
    arrived: Callable[[], int]
    refused: Destination


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as started:
        yield started


@pytest.fixture
def broker(service: Callable[[str], Path], tmp_path: Path) -> Iterator[Broker]:
    with running("nats-server", service("nats-server"), tmp_path) as started:
        yield started


@pytest.fixture(params=["memory", "webhook", "sns", "apprise", "mqtt"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        made = await globals()[f"_{request.param}"](request, stack)
        yield made
        await made.notifier.close()


async def _memory(_: pytest.FixtureRequest, __: AsyncExitStack) -> Place:
    notifier = MemoryNotifier()
    notifier.failures["broken"] = DeliveryError("told to fail")
    return Place(
        notifier,
        Destination(Channel.WEBHOOK, "fine"),
        lambda: len(notifier.delivered),
        Destination(Channel.WEBHOOK, "broken"),
    )


async def _webhook(_: pytest.FixtureRequest, stack: AsyncExitStack) -> Place:
    receiver = await stack.enter_async_context(receiving())
    return Place(
        WebhookNotifier(clock=SystemClock()),
        Destination(Channel.WEBHOOK, receiver.url),
        lambda: len(receiver.received),
        Destination(Channel.WEBHOOK, "http://127.0.0.1:9/"),
    )


async def _apprise(_: pytest.FixtureRequest, stack: AsyncExitStack) -> Place:
    receiver = await stack.enter_async_context(receiving())
    url = receiver.url.replace("http://", "json://")
    return Place(
        AppriseNotifier(),
        Destination(Channel.APPRISE, url),
        lambda: len(receiver.received),
        Destination(Channel.APPRISE, "json://127.0.0.1:9/"),
    )


async def _sns(request: pytest.FixtureRequest, stack: AsyncExitStack) -> Place:
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    server = stack.enter_context(topics_server())
    topic = server.topic(f"contract-{uuid4()}")  # moto keeps topics beyond its server
    return Place(
        SnsNotifier(endpoint_url=server.url),
        Destination(Channel.SNS, topic.arn),
        lambda: len(topic.envelopes(10)),
        Destination(Channel.SNS, topic.arn + "-absent"),
    )


async def _mqtt(request: pytest.FixtureRequest, stack: AsyncExitStack) -> Place:
    broker: Broker = request.getfixturevalue("broker")
    client = await stack.enter_async_context(aiomqtt.Client("127.0.0.1", broker.port))
    await client.subscribe("proctor/v1/notifications/#", qos=1)
    return Place(
        MqttNotifier(BrokerAddress("127.0.0.1", broker.port), timeout_s=1),
        Destination(Channel.MQTT, "soc/findings"),
        lambda: len(client.messages),
        Destination(Channel.MQTT, "with\0nul"),
    )


async def _comes(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (a broker or a queue tells no event)
            await asyncio.sleep(0.01)


async def test_what_was_delivered_has_arrived(place: Place) -> None:
    await place.notifier.deliver(notice(EventKind.RUN_STARTED), place.destination)
    await _comes(lambda: place.arrived() == 1)


async def test_close_is_not_the_end(place: Place) -> None:
    await place.notifier.close()
    await place.notifier.deliver(notice(EventKind.RUN_STARTED), place.destination)
    await place.notifier.close()
    await place.notifier.close()


async def test_refusal_is_an_error_and_others_still_arrive(place: Place) -> None:
    with pytest.raises(DeliveryError):
        await place.notifier.deliver(notice(EventKind.RUN_STARTED), place.refused)
    await place.notifier.deliver(notice(EventKind.RUN_STARTED), place.destination)
    await _comes(lambda: place.arrived() == 1)


async def test_webhook_is_signed_and_readable(receiver: Receiver, tmp_path: Path) -> None:
    secret = "whsec_" + "QUJD" * 8
    (tmp_path / "secret").write_text(secret + "\n")
    notifier = WebhookNotifier(clock=SystemClock())
    to = Destination(Channel.WEBHOOK, f"{receiver.url}/hook", str(tmp_path / "secret"))
    await notifier.deliver(notice(EventKind.FINDING_REPORTED), to)
    await notifier.close()
    (request,) = receiver.received
    assert request.path == "/hook"
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert Webhook(secret).verify(request.body, request.headers)["id"] == "n-1"


async def test_webhook_without_a_secret_is_unsigned(receiver: Receiver) -> None:
    notifier = WebhookNotifier(clock=SystemClock())
    await notifier.deliver(notice(EventKind.OTHER), Destination(Channel.WEBHOOK, receiver.url))
    await notifier.close()
    assert "webhook-signature" not in receiver.received[0].headers


async def test_webhook_with_an_unreadable_secret_sends_nothing(
    receiver: Receiver, tmp_path: Path
) -> None:
    notifier = WebhookNotifier(clock=SystemClock())
    to = Destination(Channel.WEBHOOK, receiver.url, str(tmp_path / "absent"))
    with pytest.raises(DeliveryError, match="absent"):
        await notifier.deliver(notice(EventKind.OTHER), to)
    await notifier.close()
    assert receiver.received == []


@pytest.mark.parametrize(
    ("status", "code", "is_final"),
    [
        (302, "INTERNAL_ERROR", False),
        (400, "INTERNAL_ERROR", False),
        (403, "ACCESS_DENIED", False),
        (410, "INTERNAL_ERROR", True),
        (503, "INTERNAL_ERROR", False),
    ],
)
async def test_webhook_answer_decides(
    receiver: Receiver,
    status: int,
    code: str,
    is_final: bool,  # noqa: FBT001 (a case of the table)
) -> None:
    receiver.statuses = [status]
    notifier = WebhookNotifier(clock=SystemClock())
    with pytest.raises(DeliveryError, match=str(status)) as caught:
        await notifier.deliver(notice(EventKind.OTHER), Destination(Channel.WEBHOOK, receiver.url))
    await notifier.close()
    assert (caught.value.code, caught.value.is_final) == (code, is_final)
    assert len(receiver.received) == 1, "a redirect is not followed"


async def test_webhook_that_does_not_answer_is_left() -> None:
    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(keep_silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    notifier = WebhookNotifier(clock=SystemClock(), timeout_s=0.05)
    with pytest.raises(DeliveryError, match="webhook: "):
        await notifier.deliver(
            notice(EventKind.OTHER), Destination(Channel.WEBHOOK, f"http://127.0.0.1:{port}/")
        )
    await notifier.close()
    await ended.wait()
    server.close()


async def test_apprise_sends_words_by_a_url_from_a_file(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(receiver.url.replace("http://", "json://user:secret@"))
    to = Destination(Channel.APPRISE, "", str(tmp_path / "url"))
    await AppriseNotifier().deliver(notice(EventKind.FINDING_REPORTED), to)
    body = json.loads(receiver.received[0].body)
    assert body["title"] == "Proctor: [High] Telnet was used to log in"
    assert "Host: i-0a1b2c3d" in body["message"]


async def test_mqtt_carries_cloud_events_and_outlives_its_broker(broker: Broker) -> None:
    notifier = MqttNotifier(BrokerAddress("127.0.0.1", broker.port), timeout_s=1)
    to = Destination(Channel.MQTT, "soc")
    await notifier.deliver(notice(EventKind.RUN_STARTED), to)
    broker.kill()
    with pytest.raises(DeliveryError, match="MQTT"):
        await notifier.deliver(notice(EventKind.RUN_STARTED), to)
    broker.start()
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe("proctor/v1/notifications/soc", qos=1)
        await notifier.deliver(notice(EventKind.RUN_STARTED), to)
        async with asyncio.timeout(10):
            message = await anext(aiter(client.messages))
    await notifier.close()
    assert json.loads(message.payload)["id"] == "n-1"
