import msgspec
import pytest

from analyzer.errors import HeartbeatError
from analyzer.model import AGENT_SILENT_US, Health, HealthCode, Interface
from analyzer.runs.heartbeat import MAX_PAYLOAD_BYTES, Offsets, agent_of, parse_status

STATUS = {
    "format": 1,
    "agent_id": "i-1",
    "state": "online",
    "boot_id": "b1",
    "now_us": 5,
    "hostname": "web-1",
    "version": "0.1.0",
    "tags": {"env": "prod"},
    "collecting": True,
    "sensors": [{"name": "sock_diag"}],
}


def payload(**changes: object) -> bytes:
    return msgspec.json.encode({**STATUS, **changes})


def test_status_is_read_and_unknown_fields_are_ignored() -> None:
    status = parse_status("i-1", payload())
    assert (status.hostname, status.collecting, status.tags) == ("web-1", True, {"env": "prod"})


@pytest.mark.parametrize(
    ("topic", "body", "says"),
    [
        ("i-1", b"", "truncated"),
        ("i-1", b"\xff\xfe", "malformed"),
        ("i-1", payload(format=2), "Invalid enum value"),
        ("i-1", payload(state="lost"), "Invalid enum value"),
        ("i-1", payload(agent_id="a.b"), "matching regex"),
        ("i-1", payload(hostname="x" * 300), "length"),
        ("i-1", payload(hostname="web\0"), "matching regex"),
        ("i-1", payload(tags={"a\0": ""}), "matching regex"),
        ("i-1", payload(tags={"aws:autoscaling:groupName": "web\n\0"}), "matching regex"),
        ("i-1", payload(now_us=-1), ">= 0"),
        ("i-1", payload().replace(b':5,"host', b':10000000000000000000000,"host'), "<="),
        ("i-2", payload(), "topic of i-2 but payload of i-1"),
        ("i-1", b" " * (MAX_PAYLOAD_BYTES + 1), "more than"),
    ],
)
def test_status_that_breaks_the_contract_is_refused(topic: str, body: bytes, says: str) -> None:
    with pytest.raises(HeartbeatError, match=says):
        parse_status(topic, body)


def test_offset_is_the_greatest_of_the_last_measurements() -> None:
    offsets = Offsets()
    assert offsets.of("i-1") == 0
    assert offsets.measure("i-1", sent_us=90, received_us=100) == -10
    assert offsets.measure("i-1", sent_us=198, received_us=200) == -2
    assert offsets.measure("i-1", sent_us=250, received_us=300) == -2
    for _ in range(16):
        offsets.measure("i-1", sent_us=280, received_us=300)
    assert offsets.of("i-1") == -20


def test_agent_that_goes_offline_keeps_what_was_known() -> None:
    online = agent_of(parse_status("i-1", payload()), known=None, seen_us=9, offset_us=3)
    assert (online.is_online, online.is_collecting, online.last_seen_us) == (True, True, 9)
    word = parse_status(
        "i-1", msgspec.json.encode({"format": 1, "agent_id": "i-1", "state": "offline"})
    )
    offline = agent_of(word, known=online, seen_us=99, offset_us=0)
    assert (offline.is_online, offline.hostname, offline.last_seen_us) == (False, "web-1", 9)


def test_agent_says_what_its_host_is_and_only_addresses_count() -> None:
    stated = [{"name": "eth0", "addresses": ["10.0.0.5", "no address", "fd00::5"]}]
    status = parse_status(
        "i-1", payload(os_name="Debian 12", kernel_release="6.1", interfaces=stated)
    )
    agent = agent_of(status, known=None, seen_us=9, offset_us=3)
    assert (agent.os_name, agent.kernel_release) == ("Debian 12", "6.1")
    assert agent.interfaces == (Interface("eth0", ("10.0.0.5", "fd00::5")),)
    assert agent.ipv4 == ("10.0.0.5",)


def test_agent_first_heard_of_offline_is_entered_as_such() -> None:
    word = parse_status(
        "i-1", msgspec.json.encode({"format": 1, "agent_id": "i-1", "state": "offline"})
    )
    assert not agent_of(word, known=None, seen_us=0, offset_us=0).is_online


def test_agent_that_keeps_to_its_budget_is_throttled() -> None:
    agent = agent_of(
        parse_status("i-1", payload(throttled=True)), known=None, seen_us=9, offset_us=0
    )
    assert agent.code(9) is HealthCode.THROTTLED
    assert agent.details(9).startswith("Collecting less")


def test_health_follows_from_connection_and_silence() -> None:
    agent = agent_of(parse_status("i-1", payload()), known=None, seen_us=0, offset_us=0)
    assert agent.code(AGENT_SILENT_US) is HealthCode.RUNNING
    assert agent.code(AGENT_SILENT_US + 1) is HealthCode.UNHEALTHY
    assert agent.code(2 * 86_400_000_000) is HealthCode.UNKNOWN
    gone = agent_of(
        parse_status("i-1", payload(state="offline")), known=agent, seen_us=0, offset_us=0
    )
    assert gone.code(0) is HealthCode.SHUTDOWN
    assert {code.health for code in HealthCode} == set(Health)
