from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from random import Random

import msgspec
import pytest

from analyzer.errors import DeliveryError, StoreError
from analyzer.model import EventKind, OutboxMessage, PublishStatus, Route
from analyzer.notify.backoff import MAX_ATTEMPTS
from analyzer.notify.destination import Channel, Destination
from analyzer.notify.dispatcher import KEPT_US, Dispatcher
from analyzer.notify.memory import MemoryNotifier
from analyzer.notify.notice import Notice
from analyzer.notify.outbox import MemoryOutbox
from rules.telemetry.clock import ManualClock
from tests.notices import AT_US, event

TOPIC = "arn:aws:sns:us-east-1:123456789012:topic"
OTHER_TOPIC = f"{TOPIC}-2"
S = 1_000_000


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.notify.dispatcher.POLL_S", 0.001)


def message(n: int, *, topic: str = TOPIC, route: str = "") -> OutboxMessage:
    told = event(EventKind.RUN_STARTED)
    return OutboxMessage(
        id=f"m-{n}",
        created_us=AT_US + n,
        event=told.kind,
        template_arn=told.template_arn,
        target_arn=told.target_arn,
        topic_arn="" if route else topic,
        route=route,
        payload=msgspec.json.encode(told).decode(),
        next_attempt_us=AT_US,
    )


class Scene:
    def __init__(self) -> None:
        self.outbox = MemoryOutbox()
        self.sns = MemoryNotifier()
        self.webhook = MemoryNotifier()
        self.clock = ManualClock(AT_US + S)

    def put(self, *messages: OutboxMessage) -> None:
        self.outbox.messages |= {told.id: told for told in messages}

    def dispatcher(self) -> Dispatcher:
        notifiers = {Channel.SNS: self.sns, Channel.WEBHOOK: self.webhook}
        return Dispatcher(outbox=self.outbox, notifiers=notifiers, clock=self.clock, rng=Random(1))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.dispatcher().run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def until(self, condition: Callable[[], bool], *, step_s: float = 0) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.clock.advance(step_s)
                await asyncio.sleep(0.001)

    def is_over(self, n: int) -> bool:
        return self.outbox.messages[f"m-{n}"].next_attempt_us is None


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_due_messages_arrive_in_order_and_are_ticked_off(scene: Scene) -> None:
    scene.put(message(2), message(1), message(3))
    async with scene.running():
        await scene.until(lambda: all(map(scene.is_over, (1, 2, 3))))
    assert [told.id for _, told in scene.sns.delivered] == ["m-1", "m-2", "m-3"]
    kept = scene.outbox.messages["m-1"]
    assert (kept.attempts, kept.status, kept.error) == (1, PublishStatus.SUCCESS, "")
    assert kept.delivered_us == scene.clock.now_us()


async def test_message_that_is_not_due_waits(scene: Scene) -> None:
    scene.put(replace(message(1), next_attempt_us=scene.clock.now_us() + S), message(2))
    async with scene.running():
        await scene.until(lambda: scene.is_over(2))
    assert [told.id for _, told in scene.sns.delivered] == ["m-2"]


async def test_failure_is_repeated_later_with_the_same_id(scene: Scene) -> None:
    scene.sns.failures[TOPIC] = DeliveryError("away")
    scene.put(message(1))
    async with scene.running():
        await scene.until(lambda: scene.outbox.messages["m-1"].attempts == 1)
        waiting = scene.outbox.messages["m-1"]
        assert waiting.next_attempt_us is not None
        assert 0.5 * S <= waiting.next_attempt_us - scene.clock.now_us() <= S
        assert (waiting.status, waiting.error) == (PublishStatus.INTERNAL_ERROR, "away")
        scene.sns.failures.clear()
        await scene.until(lambda: scene.is_over(1), step_s=1)
    assert [told.id for _, told in scene.sns.delivered] == ["m-1"]
    assert scene.outbox.messages["m-1"].status is PublishStatus.SUCCESS


async def test_one_that_fails_delays_no_other(scene: Scene) -> None:
    scene.sns.failures[TOPIC] = DeliveryError("away")
    scene.put(*(message(n) for n in range(300)), message(301, topic=OTHER_TOPIC))
    async with scene.running():
        await scene.until(lambda: scene.is_over(301), step_s=0.001)
    assert [address for address, _ in scene.sns.delivered] == [OTHER_TOPIC]


async def test_one_that_hangs_delays_no_other(scene: Scene) -> None:
    never = asyncio.Event()

    class Hanging(MemoryNotifier):
        async def deliver(self, notice: Notice, to: Destination) -> None:
            if to.address == TOPIC:
                await never.wait()
            await super().deliver(notice, to)

    scene.sns = Hanging()
    scene.put(message(1), message(2), message(3, topic=OTHER_TOPIC))
    async with scene.running():
        await scene.until(lambda: scene.is_over(3))
        scene.put(message(4, topic=OTHER_TOPIC))
        await scene.until(lambda: scene.is_over(4))
    assert not scene.is_over(1)


async def test_poison_ends_with_its_error_and_lets_others_pass(scene: Scene) -> None:
    class Choosy(MemoryNotifier):
        async def deliver(self, notice: Notice, to: Destination) -> None:
            if notice.id == "m-1":
                raise RuntimeError("cannot read this")
            await super().deliver(notice, to)

    scene.sns = Choosy()
    scene.put(message(1), message(2))
    async with scene.running():
        await scene.until(lambda: scene.is_over(2), step_s=1)
        await scene.until(lambda: scene.is_over(1), step_s=1_000)
    kept = scene.outbox.messages["m-1"]
    assert (kept.attempts, kept.delivered_us) == (MAX_ATTEMPTS, None)
    assert kept.error == "RuntimeError: cannot read this"
    assert [told.id for _, told in scene.sns.delivered] == ["m-2"]


async def test_final_refusal_is_not_repeated(scene: Scene) -> None:
    scene.sns.failures[TOPIC] = DeliveryError("gone", code="TOPIC_DOES_NOT_EXIST", is_final=True)
    scene.put(message(1), message(2))
    async with scene.running():
        await scene.until(lambda: scene.is_over(1) and scene.is_over(2))
    kept = scene.outbox.messages["m-1"]
    assert (kept.attempts, kept.status) == (1, PublishStatus.TOPIC_DOES_NOT_EXIST)


async def test_route_leads_to_its_destination(scene: Scene) -> None:
    scene.outbox.routes["soc"] = Route(
        name="soc", url="http://soc.test/", options={"channel": "webhook"}, created_us=0
    )
    scene.put(message(1, route="soc"), message(2, route="removed"))
    async with scene.running():
        await scene.until(lambda: scene.is_over(1) and scene.is_over(2))
    assert [address for address, _ in scene.webhook.delivered] == ["http://soc.test/"]
    assert scene.outbox.messages["m-2"].error == "the route removed was removed"


async def test_route_of_another_version_waits_and_stops_nobody(scene: Scene) -> None:
    scene.outbox.routes["new"] = Route(
        name="new", url="pigeon://loft", options={"channel": "pigeon"}, created_us=0
    )
    scene.put(message(1, route="new"), message(2))
    async with scene.running():
        await scene.until(lambda: scene.is_over(2))
        scene.put(message(3))
        await scene.until(lambda: scene.is_over(3))
    assert scene.outbox.messages["m-1"].attempts == 0


async def test_old_outcomes_are_forgotten(scene: Scene) -> None:
    scene.put(message(1), message(2))
    async with scene.running():
        await scene.until(lambda: scene.is_over(1) and scene.is_over(2))
        scene.put(replace(message(3), next_attempt_us=scene.clock.now_us() + 2 * KEPT_US))
        scene.clock.advance(KEPT_US / S + 2)
        await scene.until(lambda: scene.outbox.messages.keys() == {"m-3"})


async def test_outcome_that_cannot_be_written_is_told_again(scene: Scene) -> None:
    class Refusing(MemoryOutbox):
        refusals = 2

        async def save(self, message: OutboxMessage) -> None:
            if self.refusals:
                self.refusals -= 1
                raise StoreError("disk full")
            await super().save(message)

        async def due(
            self, now_us: int, *, limit: int, without: Collection[str]
        ) -> list[OutboxMessage]:
            if self.refusals == 1 and not without:
                self.refusals = 0
                raise StoreError("disk full")
            return await super().due(now_us, limit=limit, without=without)

    scene.outbox = Refusing()
    scene.put(message(1))
    async with scene.running():
        await scene.until(lambda: scene.is_over(1), step_s=1)
    assert [told.id for _, told in scene.sns.delivered] == ["m-1", "m-1"]
