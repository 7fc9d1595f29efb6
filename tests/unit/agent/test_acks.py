"""What the analyzer says of batches, and which still wait."""

import json

import pytest

from agent.acks import MAX_BACKOFF, MAX_PAYLOAD_BYTES, AckMessage, InFlight, Rejected, parse_acks
from agent.errors import AckError
from agent.spool import Acked


def _acked(high: int, *ranges: tuple[int, int]) -> AckMessage:
    return AckMessage((Acked("b", "main", high, ranges),), ())


def test_message_with_both_kinds_of_news() -> None:
    payload = json.dumps(
        {
            "format": 1,
            "acks": [{"boot_id": "b", "stream": "main", "high": 3, "ranges": [[5, 6], [9, 8]]}],
            "rejected": [{"boot_id": "b", "stream": "main", "sequence": 4, "reason": "column"}],
        }
    )
    assert parse_acks(payload.encode()) == AckMessage(
        (Acked("b", "main", 3, ((5, 6),)),), (Rejected("b", "main", 4, "column"),)
    )


def test_parts_may_be_left_out() -> None:
    assert parse_acks(b'{"format":1}') == AckMessage((), ())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"format":2}',
        b'{"format":1,"acks":[{"boot_id":"b","stream":"main","high":-1}]}',
        b'{"format":1,"acks":[{"boot_id":"b","stream":"main","high":"1"}]}',
        b'{"format":1,"acks":[{"boot_id":"","stream":"main","high":1}]}',
        b'{"format":1,"acks":[{"boot_id":"\xed\xb3\xbf","stream":"main","high":1}]}',
        b'{"format":1,"rejected":[{"boot_id":"b"}]}',
        b" " * (MAX_PAYLOAD_BYTES + 1),
    ],
)
def test_anything_else_is_refused(payload: bytes) -> None:
    with pytest.raises(AckError):
        parse_acks(payload)


def test_room_shrinks_with_each_batch_and_grows_with_acks() -> None:
    flight = InFlight(limit=4, timeout_s=10)
    for sequence in (1, 2, 3, 5):
        flight.send(("b", "main", sequence), now_s=0)
    assert flight.room == 0
    assert flight.settle(_acked(1, (4, 5)), now_s=1)
    assert flight.room == 2
    assert not flight.settle(_acked(1), now_s=2)
    assert not flight.settle(AckMessage((Acked("other", "main", 9, ()),), ()), now_s=2)
    assert len(flight) == 2


def test_rejected_batch_makes_room_too() -> None:
    flight = InFlight(limit=1, timeout_s=10)
    flight.send(("b", "main", 1), now_s=0)
    assert flight.settle(AckMessage((), (Rejected("b", "main", 1, "arrow"),)), now_s=1)
    assert flight.room == 1


def test_silence_is_counted_from_the_last_word() -> None:
    flight = InFlight(limit=9, timeout_s=10)
    assert flight.remaining_s(0) is None
    flight.send(("b", "main", 1), now_s=2)
    flight.send(("b", "main", 2), now_s=5)
    assert flight.remaining_s(6) == 6
    flight.settle(_acked(1), now_s=7)
    assert flight.remaining_s(7) == 10


def test_patience_grows_with_silence_up_to_a_bound_and_ends_with_a_word() -> None:
    flight = InFlight(limit=9, timeout_s=1)
    waits = []
    for _ in range(6):
        flight.send(("b", "main", 1), now_s=0)
        waits.append(flight.remaining_s(0))
        flight.give_up()
        assert flight.remaining_s(0) is None
    assert waits == [1, 2, 4, 8, 8, 8]
    assert MAX_BACKOFF == 8
    flight.send(("b", "main", 1), now_s=0)
    flight.settle(_acked(1), now_s=0)
    flight.send(("b", "main", 2), now_s=0)
    assert flight.remaining_s(0) == 1


def test_new_session_starts_with_everything_unsent() -> None:
    flight = InFlight(limit=1, timeout_s=1)
    flight.send(("b", "main", 1), now_s=0)
    flight.clear()
    assert flight.room == 1
