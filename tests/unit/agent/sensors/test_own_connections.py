from agent.sensors.own_connections import KEEP_US, PACKETS_US, OwnConnections
from tests.socket_facts import end, row

ASKING, ANSWERING = ("127.0.0.1", 40_000), ("127.0.0.1", 443)


def test_both_ends_belong_to_an_own_connection() -> None:
    own = OwnConnections()
    own.add(ASKING, ANSWERING, cookie=5, now_us=0)

    assert own.owns(row(ASKING, ANSWERING), 0)
    assert own.owns(row(ANSWERING, ASKING), 0)
    assert not own.owns(row(("127.0.0.1", 40_001), ANSWERING), 0)


def test_connection_is_forgotten_when_both_ends_are_gone() -> None:
    own = OwnConnections()
    own.add(ASKING, ANSWERING, cookie=5, now_us=0)

    assert own.settle(end(ANSWERING, ASKING, cookie=6))
    assert own.owns(row(ASKING, ANSWERING), 0)
    assert own.settle(end(ASKING, ANSWERING, cookie=5))
    assert not own.owns(row(ASKING, ANSWERING), 0)
    assert not own.settle(end(ASKING, ANSWERING, cookie=7))


def test_aborted_end_is_known_by_its_cookie() -> None:
    own = OwnConnections()
    own.add(ASKING, ANSWERING, cookie=5, now_us=0)

    assert own.settle(end(ASKING, cookie=5))


def test_kernel_without_cookies_goes_by_both_ends() -> None:
    own = OwnConnections()
    own.add(ASKING, ANSWERING, cookie=0, now_us=0)

    assert own.settle(end(ASKING, ANSWERING, cookie=5))
    assert own.settle(end(ANSWERING, ASKING, cookie=6))
    assert len(own) == 0


def test_connection_is_forgotten_long_after_the_last_sight() -> None:
    own = OwnConnections()
    own.add(ASKING, ANSWERING, cookie=5, now_us=0)
    own.owns(row(ANSWERING, ASKING), KEEP_US)

    own.add(("127.0.0.1", 1), ANSWERING, cookie=6, now_us=KEEP_US + 1)
    assert own.owns(row(ASKING, ANSWERING), KEEP_US)
    own.add(("127.0.0.1", 2), ANSWERING, cookie=7, now_us=2 * KEEP_US + 2)
    assert not own.owns(row(ASKING, ANSWERING), 0)


def test_oldest_goes_when_there_are_too_many() -> None:
    own = OwnConnections(limit=2)
    for port in (1, 2, 3):
        own.add(("127.0.0.1", port), ANSWERING, cookie=port, now_us=0)

    assert len(own) == 2
    assert not own.owns(row(("127.0.0.1", 1), ANSWERING), 0)


def test_packets_belong_to_an_own_connection_after_its_end_too() -> None:
    own = OwnConnections(limit=1)
    own.add(ASKING, ANSWERING, cookie=5, now_us=7)
    assert own.made(ASKING, ANSWERING, 8)
    assert not own.made(ANSWERING, ASKING, 8)
    own.settle(end(ASKING, ANSWERING, cookie=5))
    own.settle(end(ANSWERING, ASKING, cookie=6))

    assert own.made(ASKING, ANSWERING, 8)
    assert not own.made(ASKING, ANSWERING, 7 + PACKETS_US)
    for port in (1, 2):
        own.add(("127.0.0.1", port), ANSWERING, cookie=port, now_us=9)
    assert not own.made(ASKING, ANSWERING, 8)
    assert own.made(("127.0.0.1", 1), ANSWERING, 10)
