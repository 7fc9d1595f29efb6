"""A served process tells webhooks, MQTT and topics what happens, also over a kill -9.

The receivers are in this process, the server is the real command line.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from standardwebhooks import Webhook

from analyzer.model import (
    EventKind,
    PublishStatus,
    Run,
    RunState,
    Subscription,
    Target,
    Template,
)
from analyzer.notify.desk import RouteDesk
from analyzer.notify.destination import Channel, Destination
from analyzer.notify.routes import new_route
from analyzer.store import Store
from rules.telemetry.clock import ManualClock
from tests.notices import AT_US, RUN, TARGET, TEMPLATE, event
from tests.receivers import Receiver, receiving
from tests.served import Server, inspector, make_template, until
from tests.topics_server import CREDENTIALS, TopicsServer, topics_server

SECRET = "whsec_" + "QUJD" * 8

pytestmark = [pytest.mark.timeout(300), pytest.mark.allow_blocking]


@pytest.fixture(scope="module")
def topics() -> Iterator[TopicsServer]:
    with topics_server() as running:
        yield running


@pytest.fixture(scope="module")
def server(
    service: Callable[[str], Path], topics: TopicsServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Return a server that lives for all tests but those that kill one."""
    yield from _serving(service, topics, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def mortal(
    service: Callable[[str], Path], topics: TopicsServer, tmp_path: Path
) -> Iterator[Server]:
    """Return a server that may be killed."""
    yield from _serving(service, topics, tmp_path)


def _serving(
    service: Callable[[str], Path], topics: TopicsServer, folder: Path
) -> Iterator[Server]:
    service("nats-server")
    made = Server(folder, {**CREDENTIALS, "AWS_ENDPOINT_URL_SNS": topics.url})
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def add_route(server: Server, name: str, to: Destination) -> None:
    route = new_route(name, to, events=[EventKind.RUN_STARTED], created_us=AT_US)
    async with server.store() as store:
        await RouteDesk(store, clock=ManualClock()).add(route)


async def begin_run(store: Store) -> Run:
    """Put a run with target and template into the store, as the desk does."""
    run = Run(
        id="0-Mn56OpQr",
        arn=RUN,
        template_arn=TEMPLATE,
        target_arn=TARGET,
        name="first",
        duration_s=180,
        packages=("runtime-behavior",),
        created_us=AT_US,
        state=RunState.CANCELED,  # so that the run clock leaves it alone
    )
    async with store.writing() as rows:
        await rows.targets.add(Target(TARGET, "web", None, AT_US, AT_US))
        await rows.templates.add(
            Template(
                arn=TEMPLATE,
                target_arn=TARGET,
                name="weekly",
                duration_s=180,
                packages=("runtime-behavior",),
            )
        )
        await rows.runs.add(run)
    return run


async def test_trial_goes_through_the_server(
    server: Server, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(SECRET)
    arguments = ["--webhook", f"{receiver.url}/hook", "--secret-file", str(tmp_path / "key")]
    assert (await server.proctor("notify", "add", "trial", *arguments))[0] == 0
    assert await server.proctor("notify", "test", "trial") == (0, "trial has taken it.\n")
    (request,) = receiver.received
    assert Webhook(SECRET).verify(request.body, request.headers)["type"] == (
        "proctor.notifications.test"
    )
    receiver.statuses = [500]
    code, errors = await server.proctor("notify", "test", "trial")
    assert code == 1
    assert "answered 500" in errors


async def test_state_change_reaches_every_channel(
    server: Server, receiver: Receiver, topics: TopicsServer
) -> None:
    topic = topics.topic("e2e-state-change")
    await add_route(server, "soc", Destination(Channel.WEBHOOK, receiver.url))
    await add_route(server, "bus", Destination(Channel.MQTT, "soc"))
    note = server.folder.read_note()
    assert note is not None
    port = int(note.broker_url.rpartition(":")[2])
    async with aiomqtt.Client("127.0.0.1", port) as client, server.store() as store:
        await client.subscribe("proctor/v1/notifications/#", qos=1)
        run = await begin_run(store)
        async with store.writing() as rows:
            await rows.events.subscribe(
                Subscription(TEMPLATE, EventKind.RUN_STARTED, topic.arn, AT_US)
            )
            await rows.events.subscribe(
                Subscription(TEMPLATE, EventKind.RUN_STARTED, f"{topic.arn}-absent", AT_US)
            )
        await store.save_run(run, events=[event(EventKind.RUN_STARTED)])
        async with asyncio.timeout(60):
            message = await anext(aiter(client.messages))
        await until(lambda: len(receiver.received) == 1)
        assert json.loads(message.payload)["type"] == "proctor.assessment-run.started"
        statuses = await _statuses(store)
    assert topic.messages(1)[0]["event"] == "ASSESSMENT_RUN_STARTED"
    assert statuses == {
        topic.arn: PublishStatus.SUCCESS,
        f"{topic.arn}-absent": PublishStatus.TOPIC_DOES_NOT_EXIST,
    }


async def _statuses(store: Store) -> dict[str, PublishStatus]:
    """Return what came of the messages about the run, once that is known of all."""
    async with asyncio.timeout(60):
        while True:
            async with store.reading() as rows:
                told = await rows.events.messages(RUN, limit=50)
            if all(message.status for message in told):
                return {message.topic_arn: message.status for message in told}
            await asyncio.sleep(0.05)


async def test_subscription_is_refused_or_confirmed_to_its_topic(
    server: Server, topics: TopicsServer
) -> None:
    client = await asyncio.to_thread(inspector, server)
    topic = topics.topic("e2e-subscription")
    template = await asyncio.to_thread(make_template, client, "subscribed")

    def subscribe(topic_arn: str) -> None:
        client.subscribe_to_event(
            resourceArn=template, event="FINDING_REPORTED", topicArn=topic_arn
        )

    with pytest.raises(client.exceptions.NoSuchEntityException) as caught:
        await asyncio.to_thread(subscribe, f"{topic.arn}-absent")
    assert caught.value.response["errorCode"] == "SNS_TOPIC_DOES_NOT_EXIST"
    await asyncio.to_thread(subscribe, topic.arn)
    messages: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        while not messages:
            messages = await asyncio.to_thread(topic.messages, 1)
            await asyncio.sleep(0.1)
    time = messages[0].pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)
    assert messages[0] == {
        "template": template,
        "target": template.rpartition("/template/")[0],
        "event": "ENABLE_ASSESSMENT_NOTIFICATIONS",
    }


async def test_kill_between_state_change_and_publish_loses_nothing(
    mortal: Server, receiver: Receiver
) -> None:
    """The server is killed while a receiver has a request and has not answered it."""
    await add_route(mortal, "soc", Destination(Channel.WEBHOOK, receiver.url))
    receiver.may_answer.clear()
    async with mortal.store() as store:
        run = await begin_run(store)
        await store.save_run(replace(run, message="begun"), events=[event(EventKind.RUN_STARTED)])
    await until(lambda: len(receiver.received) == 1)
    mortal.kill()
    receiver.may_answer.set()
    await asyncio.to_thread(mortal.start)
    await until(lambda: len(receiver.received) == 2)
    first, again = (json.loads(request.body) for request in receiver.received)
    assert first == again
    assert first["subject"] == RUN


async def test_change_without_a_server_is_told_when_it_starts(
    mortal: Server, receiver: Receiver
) -> None:
    await add_route(mortal, "soc", Destination(Channel.WEBHOOK, receiver.url))
    mortal.kill()
    async with mortal.store() as store:
        run = await begin_run(store)
        await store.save_run(run, events=[event(EventKind.RUN_STARTED)])
    assert receiver.received == []
    await asyncio.to_thread(mortal.start)
    await until(lambda: len(receiver.received) == 1)


async def test_run_tells_its_way_in_order_and_keeps_how_it_went(
    server: Server, topics: TopicsServer
) -> None:
    client = await asyncio.to_thread(inspector, server)
    topic = topics.topic("e2e-run")

    def run() -> str:
        template = make_template(client, "running")
        client.subscribe_to_event(
            resourceArn=template, event="ASSESSMENT_RUN_STATE_CHANGED", topicArn=topic.arn
        )
        started = client.start_assessment_run(assessmentTemplateArn=template)["assessmentRunArn"]
        client.stop_assessment_run(assessmentRunArn=started, stopAction="SKIP_EVALUATION")
        return str(started)

    run_arn = await asyncio.to_thread(run)
    messages: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        while not messages or messages[-1].get("newstate") != "CANCELED":
            messages += await asyncio.to_thread(topic.messages, 1)
            await asyncio.sleep(0.1)

    def described() -> dict[str, Any]:
        (found,) = client.describe_assessment_runs(assessmentRunArns=[run_arn])["assessmentRuns"]
        return dict(found)

    shown = await asyncio.to_thread(described)
    states = [change["state"] for change in shown["stateChanges"]]
    assert [message["newstate"] for message in messages if "newstate" in message] == states
    assert messages[0]["event"] == "ENABLE_ASSESSMENT_NOTIFICATIONS"
    assert {message["run"] for message in messages[1:]} == {run_arn}
    async with asyncio.timeout(30):
        while not all("snsPublishStatusCode" in told for told in shown["notifications"]):
            shown = await asyncio.to_thread(described)
    told = [
        (row["event"], row["snsPublishStatusCode"], row["error"]) for row in shown["notifications"]
    ]
    assert told == [("ASSESSMENT_RUN_STATE_CHANGED", "SUCCESS", False)] * len(states)
    assert {row["snsTopicArn"] for row in shown["notifications"]} == {topic.arn}
