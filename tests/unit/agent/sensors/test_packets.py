import errno
from ipaddress import ip_network

import pytest

from agent.decode.facts import ContentSeen, HostCalled, ProtocolSeen
from agent.errors import NetlinkError
from agent.sensors.local_networks import networks_of, read_addresses
from agent.sensors.netlink import REMEDY_NETLINK
from agent.sensors.observations import TrafficSeen
from agent.sensors.pace import TICK_S
from agent.sensors.packets import CALM_PACKETS, LAG_US, REMEDY_PACKETS, PacketSensor
from agent.sensors.sensor import Tools, Wake, Watch
from rules.telemetry import ManualClock
from tests.client_hellos import CHROME, client_record
from tests.packets import Talk
from tests.scripted_captures import ScriptedCapture
from tests.tls_messages import message, record, tls13_hello

KINDS = frozenset({"tls_session", "dns_answer"})
TALK = Talk().open().say(client_record(CHROME)).answer(record(message(2, tls13_hello()))).close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(10_000_000)


@pytest.fixture
def capture() -> ScriptedCapture:
    return ScriptedCapture()


@pytest.fixture
def sensor(clock: ManualClock, capture: ScriptedCapture) -> PacketSensor:
    sensor = PacketSensor(
        Tools(clock), open_capture=lambda: capture, addresses=lambda: ["10.0.0.1", "fe80::1%eth0"]
    )
    sensor.start(KINDS)
    return sensor


def test_packets_of_a_host_of_unknown_addresses_are_nobodys(clock: ManualClock) -> None:
    def addresses() -> list[str]:
        raise NetlinkError("open a socket", errno.EAFNOSUPPORT)

    sensor = PacketSensor(Tools(clock), open_capture=ScriptedCapture, addresses=addresses)
    capability = sensor.probe()

    assert (capability.state, capability.remedy) == ("off", REMEDY_NETLINK)
    assert "over netlink" in capability.reason


def drain(sensor: PacketSensor) -> TrafficSeen:
    (seen,) = sensor.drain()
    assert isinstance(seen, TrafficSeen)
    return seen


def test_packets_become_facts(sensor: PacketSensor, capture: ScriptedCapture) -> None:
    capture.put(TALK.packets)
    seen = drain(sensor)

    assert (seen.source, seen.ts_us) == ("packets", 10_000_000 - LAG_US)
    kinds = [type(fact) for fact in seen.facts]
    assert kinds[:3] == [HostCalled, ProtocolSeen, ContentSeen]
    assert sensor.stats().seen == len(TALK.packets)


def test_local_networks_are_the_same_while_they_do_not_change(
    sensor: PacketSensor, clock: ManualClock
) -> None:
    first = drain(sensor)
    clock.advance(20)

    assert first.local == (
        ip_network("127.0.0.0/8"),
        ip_network("10.0.0.1/32"),
        ip_network("fe80::1/128"),
    )
    assert drain(sensor).local is first.local


def test_nothing_is_told_until_packets_come_or_a_second_has_passed(
    sensor: PacketSensor, capture: ScriptedCapture, clock: ManualClock
) -> None:
    drain(sensor)
    assert sensor.drain() == []
    assert sensor.wake() == Wake(clock.monotonic_s() + 1, capture.fileno())
    clock.advance(1)
    assert drain(sensor).facts == []
    capture.put(TALK.packets[:1])
    assert drain(sensor).facts == []


def test_few_packets_wait_for_a_tick_and_many_do_not(
    sensor: PacketSensor, capture: ScriptedCapture, clock: ManualClock
) -> None:
    one = TALK.packets[:1]
    capture.put(one)
    drain(sensor)
    assert sensor.wake() == Wake(clock.monotonic_s() + TICK_S)
    clock.advance(TICK_S)
    capture.put(one * (CALM_PACKETS + 1))
    drain(sensor)
    assert sensor.wake().fileno == capture.fileno()
    capture.put(one)
    drain(sensor)
    clock.advance(TICK_S)
    drain(sensor)  # none any more: what comes next may be a burst
    assert sensor.wake().fileno == capture.fileno()


def test_hello_without_an_answer_is_told_after_a_while(
    sensor: PacketSensor, capture: ScriptedCapture, clock: ManualClock
) -> None:
    capture.put([(9_000_000 + ts_us, packet) for ts_us, packet in TALK.packets[:4]])
    drain(sensor)
    clock.advance(6)

    (session,) = drain(sensor).facts
    assert isinstance(session, ContentSeen)
    assert session.values["handshake"] == "unanswered"


def test_what_had_no_room_is_counted_for_each_kind(
    sensor: PacketSensor, capture: ScriptedCapture
) -> None:
    capture.drops = 7
    drain(sensor)
    stats = sensor.stats()

    assert stats.lost == {("dns_answer", "packet_drops"): 7, ("tls_session", "packet_drops"): 7}
    assert stats.watching == (Watch(("dns_answer", "tls_session"), "on", "script"),)


def test_weaker_filter_is_degraded_and_says_what_it_misses(clock: ManualClock) -> None:
    sensor = PacketSensor(
        Tools(clock), open_capture=lambda: ScriptedCapture(reason="no filter by flow: why")
    )
    capability = sensor.probe()
    sensor.start(KINDS)

    assert (capability.state, capability.reason) == ("degraded", "no filter by flow: why")
    assert capability.remedy == REMEDY_PACKETS
    assert {watch.state for watch in sensor.stats().watching} == {"degraded"}
    assert "span packets" in sensor.blind_spots()[-1]
    sensor.stop()


def test_host_that_allows_no_packets_is_told(clock: ManualClock) -> None:
    def refuse() -> ScriptedCapture:
        raise PermissionError(1, "Operation not permitted")

    capability = PacketSensor(Tools(clock), open_capture=refuse).probe()

    assert (capability.state, capability.reason) == ("off", "no packets: Operation not permitted")
    assert "net_raw" in capability.remedy


def test_before_its_start_there_is_nothing(clock: ManualClock) -> None:
    sensor = PacketSensor(Tools(clock), open_capture=ScriptedCapture)

    assert sensor.drain() == []
    assert sensor.wake().fileno is None
    assert sensor.stats().watching == ()


def test_addresses_of_this_host_are_networks() -> None:
    assert networks_of(read_addresses())[0] == ip_network("127.0.0.0/8")
