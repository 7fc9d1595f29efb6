"""Every sink behaves the same: in memory, and over MQTT with each real broker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from agent.config import Settings
from agent.errors import SinkError
from agent.sinks import Message, Session, Sink
from agent.sinks.memory import MemorySink
from agent.sinks.mqtt import MqttSink
from tests import brokers
from tests.brokers import BrokerName

PATIENCE_S = 30  # of a test on a machine that has other things to do

WILL = Message("status/one", b"offline")


@dataclass
class Place:
    """A sink with what a test can do to its broker."""

    sink: Sink
    other: Sink
    kill: Callable[[], None]
    start: Callable[[], None]


def _in_memory() -> Place:
    sink = MemorySink()
    return Place(sink, sink, sink.kill, sink.start)


@pytest.fixture(
    params=[
        "memory",
        *(pytest.param(name, marks=pytest.mark.integration) for name in brokers.BROKERS),
    ]
)
async def place(
    request: pytest.FixtureRequest, service: Callable[[str], Path], tmp_path: Path
) -> AsyncIterator[Place]:
    if request.param == "memory":
        yield _in_memory()
        return
    name = cast("BrokerName", request.param)
    with brokers.running(name, service(name), tmp_path) as broker:
        settings = Settings(broker_url=broker.url, connect_timeout_s=5)
        one, two = (MqttSink(settings, identifier=text) for text in ("one", "two"))
        yield Place(one, two, broker.kill, broker.start)


async def _next(session: Session) -> Message:
    async with asyncio.timeout(15):
        return await anext(session.messages())


async def test_message_reaches_who_listens(place: Place) -> None:
    async with (
        place.sink.open(topics=["ack/one"], will=WILL) as one,
        place.other.open(topics=[], will=WILL) as two,
    ):
        await two.publish("ack/other", b"not for us")
        await two.publish("ack/one", b"\x00\xff")
        assert await _next(one) == Message("ack/one", b"\x00\xff")


async def test_retained_message_reaches_who_comes_later(place: Place) -> None:
    async with place.other.open(topics=[], will=WILL) as two:
        await two.publish("control/one", b"old", retain=True)
        await two.publish("control/one", b"new", retain=True)
        await two.publish("ack/one", b"not retained")
    async with place.sink.open(topics=["ack/one", "control/one"], will=WILL) as one:
        assert await _next(one) == Message("control/one", b"new", is_retained=True)
        await one.publish("control/one", b"newest", retain=True)
        assert await _next(one) == Message("control/one", b"newest")


async def test_what_is_retained_is_sent_again_when_asked_for(place: Place) -> None:
    async with (
        place.sink.open(topics=["ack/one", "control/one"], will=WILL) as one,
        place.other.open(topics=[], will=WILL) as two,
    ):
        await two.publish("control/one", b"new", retain=True)
        assert await _next(one) == Message("control/one", b"new")
        for _ in range(2):
            await one.ask("control/one")
            assert await _next(one) == Message("control/one", b"new", is_retained=True)
        await two.publish("control/one", b"newest", retain=True)
        assert await _next(one) == Message("control/one", b"newest")


async def test_messages_of_one_sender_keep_their_order(place: Place) -> None:
    sent = [str(number).encode() for number in range(50)]
    async with (
        place.sink.open(topics=["ack/one"], will=WILL) as one,
        place.other.open(topics=[], will=WILL) as two,
    ):
        for payload in sent:
            await two.publish("ack/one", payload)
        assert [(await _next(one)).payload for _ in sent] == sent


async def test_goodbye_leaves_no_will(place: Place) -> None:
    async with place.other.open(topics=["status/one"], will=WILL) as two:
        async with place.sink.open(topics=[], will=WILL) as one:
            await one.publish("status/one", b"bye", retain=True)
        await two.publish("status/one", b"last")
        assert [(await _next(two)).payload for _ in range(2)] == [b"bye", b"last"]


async def test_reader_learns_at_once_of_a_dead_broker(place: Place) -> None:
    async with place.sink.open(topics=["ack/one"], will=WILL) as one:
        await asyncio.to_thread(place.kill)
        async with asyncio.timeout(10):
            with pytest.raises(SinkError):
                await anext(one.messages())


async def test_dead_broker_refuses_and_comes_back(place: Place) -> None:
    await asyncio.to_thread(place.kill)
    with pytest.raises(SinkError, match="broker"):
        async with place.sink.open(topics=["ack/one"], will=WILL):
            pass
    await asyncio.to_thread(place.start)
    async with place.sink.open(topics=["ack/one"], will=WILL) as one:
        await one.publish("ack/one", b"again")
        assert await _next(one) == Message("ack/one", b"again")


async def test_error_of_a_reader_ends_a_hanging_publisher(place: Place) -> None:
    async def publish(session: Session) -> None:
        while True:
            await session.publish("telemetry/one", bytes(1000))

    async def read(session: Session) -> None:
        async with contextlib.aclosing(session.messages()) as messages:
            async for _ in messages:
                pass

    async def hold() -> None:
        async with (
            place.sink.open(topics=["ack/one"], will=WILL) as one,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(read(one))
            group.create_task(publish(one))
            await asyncio.sleep(0.01)
            await asyncio.to_thread(place.kill)

    async with asyncio.timeout(15):
        with pytest.raises(ExceptionGroup) as caught:
            await hold()
    assert caught.group_contains(SinkError)


async def test_cancellation_under_load_ends_everyone_at_once(place: Place) -> None:
    async def publish(session: Session, topic: str) -> None:
        while True:
            await session.publish(topic, bytes(1000))

    async def answer(session: Session) -> None:
        async with contextlib.aclosing(session.messages()) as messages:
            async for _ in messages:
                await session.publish("ack/other", b"")

    async def hold() -> None:
        async with (
            place.sink.open(topics=["ack/one"], will=WILL) as one,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(answer(one))
            group.create_task(publish(one, "ack/one"))

    for _ in range(10):
        task = asyncio.ensure_future(hold())
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait([task], timeout=PATIENCE_S)
        assert task.done()
        if not task.cancelled():  # the broker may drop who floods it a moment before
            assert isinstance(failure := task.exception(), ExceptionGroup)
            assert failure.split(SinkError)[1] is None
