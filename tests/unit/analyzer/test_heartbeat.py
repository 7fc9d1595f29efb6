import msgspec
import pytest

from analyzer.errors import HeartbeatError
from analyzer.heartbeat import MAX_PAYLOAD_BYTES, Offsets, agent_of, parse_status

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


def test_agent_first_heard_of_offline_is_entered_as_such() -> None:
    word = parse_status(
        "i-1", msgspec.json.encode({"format": 1, "agent_id": "i-1", "state": "offline"})
    )
    assert not agent_of(word, known=None, seen_us=0, offset_us=0).is_online
