import errno
from collections.abc import Iterator

import pytest

from agent.errors import NetlinkError
from agent.sensors import ended_sockets
from agent.sensors.destroy_events import DRAIN_LIMIT, QUEUE_BYTES
from agent.sensors.ended_sockets import RETRY_S, EndedSockets, pause_for
from rules.telemetry import ManualClock
from tests.socket_facts import PEER, WEB, end
from tests.socket_tables import ScriptedSubscription


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def subscription() -> Iterator[ScriptedSubscription]:
    subscription = ScriptedSubscription()
    yield subscription
    subscription.close()


@pytest.fixture
def ended(subscription: ScriptedSubscription, clock: ManualClock) -> EndedSockets:
    ended = EndedSockets(lambda: subscription, clock)
    ended.connect()
    return ended


def test_ends_are_waited_for(ended: EndedSockets, subscription: ScriptedSubscription) -> None:
    assert ended.is_on
    assert ended.wait(5.0) == (5.0, subscription.fileno())


def test_after_a_read_ends_gather(
    ended: EndedSockets, subscription: ScriptedSubscription, clock: ManualClock
) -> None:
    subscription.waiting = [end(WEB, PEER, cookie=1)]

    assert len(ended.read()) == 1
    due_s, fileno = ended.wait(5.0)
    assert 0 < due_s <= 0.1
    assert fileno is None
    clock.advance(0.2)
    assert ended.wait(5.0) == (5.0, subscription.fileno())


@pytest.mark.parametrize(
    ("queue", "ends", "pause_s"),
    [(8 << 20, 1, 0.5), (8 << 20, 501, 0.1), (64 << 10, 1, 0.02)],
)
def test_the_patient_wait_for_a_tick_where_ends_are_few_and_the_queue_is_large(
    queue: int,
    ends: int,
    pause_s: float,
    subscription: ScriptedSubscription,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ended_sockets, "_queue_bytes", lambda _: queue)
    ended = EndedSockets(lambda: subscription, ManualClock())
    ended.connect()
    subscription.waiting = [end(WEB, PEER, cookie=1)] * ends
    ended.read(is_patient=True)

    assert ended.wait(5.0) == (pause_s, None)


def test_empty_read_pauses_nothing(ended: EndedSockets, subscription: ScriptedSubscription) -> None:
    assert ended.read() == []
    assert ended.wait(5.0) == (5.0, subscription.fileno())


def test_after_a_full_read_the_rest_is_read_at_once(
    ended: EndedSockets, subscription: ScriptedSubscription
) -> None:
    subscription.waiting = [end(WEB, PEER, cookie=1)] * (DRAIN_LIMIT + 1)

    assert len(ended.read()) == DRAIN_LIMIT
    assert ended.wait(5.0) == (5.0, subscription.fileno())


def test_losses_are_counted_over_subscriptions(
    ended: EndedSockets, subscription: ScriptedSubscription, clock: ManualClock
) -> None:
    subscription.lost = 3
    subscription.error = NetlinkError("read", errno.EIO)
    assert ended.read() == []
    assert (ended.is_on, ended.lost) == (False, 3)

    subscription.lost = 2
    subscription.reopen()
    clock.advance(RETRY_S)
    ended.connect()
    assert (ended.is_on, ended.lost) == (True, 5)


def test_refused_subscription_is_tried_again_later(clock: ManualClock) -> None:
    tries: list[int] = []

    def subscribe() -> ScriptedSubscription:
        tries.append(1)
        raise NetlinkError("subscribe", errno.EPERM)

    ended = EndedSockets(subscribe, clock)
    for _ in range(3):
        ended.connect()
    assert (len(tries), ended.is_on, ended.lost, ended.read()) == (1, False, 0, [])
    assert ended.wait(5.0) == (5.0, None)

    clock.advance(RETRY_S)
    ended.connect()
    assert len(tries) == 2


@pytest.mark.parametrize(
    ("queue_bytes", "pause_s"), [(1 << 18, 0.02), (2 << 20, 0.055), (8 << 20, 0.1)]
)
def test_pause_follows_the_queue(queue_bytes: int, pause_s: float) -> None:
    assert pause_for(queue_bytes) == pytest.approx(pause_s, rel=0.01)


def test_one_read_empties_a_full_queue() -> None:
    """Else a host that is short of CPU would read more slowly than ends come, for good."""
    assert DRAIN_LIMIT * ended_sockets._EVENT_BYTES > QUEUE_BYTES
