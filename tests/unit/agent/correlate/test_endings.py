from agent.correlate.connection_rows import Connection, Ends
from agent.correlate.endings import Ending, Endings


def ending(closed_us: int, port: int = 1, peer: int = 9, *, is_abort: bool = False) -> Ending:
    connection = Connection(
        ends=Ends("tcp", "10.0.0.1", port, "10.0.0.2", peer),
        source="perf",
        is_inbound=False,
        opened_us=0,
        is_start_known=True,
        process=None,
        listener=None,
    )
    return Ending(closed_us, connection, is_abort)


def ends_of(port: int = 1, peer: int = 9) -> Ends:
    return ending(0, port, peer).connection.ends


def test_ends_between_the_same_ends_wait_in_their_order() -> None:
    endings = Endings()
    for closed_us in range(1, 5):
        assert endings.wait(ending(closed_us)) is None

    taken = [endings.take(ends_of()) for _ in range(5)]
    assert [each and each.closed_us for each in taken] == [1, 2, 3, 4, None]
    assert len(endings) == 0


def test_without_room_the_oldest_waits_no_longer() -> None:
    endings = Endings(max_waiting=2)
    overflow = [endings.wait(ending(number, port=number)) for number in range(1, 6)]

    assert [each and each.closed_us for each in overflow] == [None, None, 1, 2, 3]
    assert len(endings) == 2


def test_without_room_many_between_the_same_ends_are_bounded_too() -> None:
    endings = Endings(max_waiting=2)
    overflow = [endings.wait(ending(number)) for number in range(1, 6)]

    assert [each and each.closed_us for each in overflow] == [None, None, 1, 2, 3]
    assert [each.closed_us for each in endings.take_all()] == [4, 5]


def test_late_ends_are_those_of_before_a_moment() -> None:
    endings = Endings()
    for number in (1, 2, 7):
        endings.wait(ending(number, port=number))

    assert [each.closed_us for each in endings.take_late(2)] == [1, 2]
    assert [each.closed_us for each in endings.take_all()] == [7]


def test_notice_without_a_peer_is_of_the_oldest_that_was_broken_off() -> None:
    endings = Endings()
    endings.wait(ending(1, peer=7))
    for peer in (8, 9):
        endings.wait(ending(peer, peer=peer, is_abort=True))

    assert endings.take_aborted(2) is None
    taken = [endings.take_aborted(1) for _ in range(3)]
    assert [each and each.closed_us for each in taken] == [8, 9, None]
    assert [each.closed_us for each in endings.take_all()] == [1]


def test_notices_of_told_ends_are_awaited_once_each() -> None:
    endings = Endings()
    for is_abort in (True, False, True):
        endings.remember(ending(1, is_abort=is_abort))

    assert endings.is_abort_awaited(1)
    assert not endings.is_abort_awaited(1)  # the next one was not broken off
    assert [endings.is_awaited(ends_of()) for _ in range(3)] == [True, True, False]
    assert not endings.is_abort_awaited(1)


def test_awaited_notices_are_bounded() -> None:
    endings = Endings(max_awaited=2)
    for port in range(1, 6):
        endings.remember(ending(1, port=port, is_abort=True))

    assert len(endings) == 2
    assert [endings.is_abort_awaited(port) for port in range(1, 6)] == [False] * 3 + [True] * 2
