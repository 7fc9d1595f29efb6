"""Flows whose packets were captured in another order than they were sent in."""

import pytest

from agent.decode.facts import ConnectionSeen, ContentSeen
from agent.decode.packet import ACK, FIN, SYN, Link
from agent.decode.traffic import Traffic
from tests.client_hellos import CHROME, client_record
from tests.packets import CLIENT, SERVER, Talk, tcp
from tests.tls_messages import message, record, tls13_hello

HELLO = client_record(CHROME)
TLS13 = record(message(2, tls13_hello()))

Packets = list[tuple[int, bytes]]


def conversation(first_us: int = 1_000_000, sequences: tuple[int, int] = (1_000, 9_000)) -> Packets:
    talk = Talk(first_us=first_us, sequences=list(sequences))
    return talk.open().say(HELLO).answer(TLS13).close().packets


def decode(packets: Packets, *, is_live: bool = False) -> list[object]:
    traffic = Traffic(is_live=is_live)
    for ts_us, packet in packets:
        traffic.add(packet, Link.RAW, ts_us)
    traffic.end(packets[-1][0])
    return list(traffic.drain())


def connections(facts: list[object]) -> list[ConnectionSeen]:
    return [fact for fact in facts if isinstance(fact, ConnectionSeen)]


def answers(facts: list[object]) -> list[object]:
    return [fact.values["handshake"] for fact in facts if isinstance(fact, ContentSeen)]


def swapped(packets: Packets, one: int, other: int) -> Packets:
    """Return packets of which two change places, and not their times."""
    order = list(range(len(packets)))
    order[one], order[other] = order[other], order[one]
    return [(packets[at][0], packets[place][1]) for at, place in enumerate(order)]


@pytest.mark.parametrize("is_live", [True, False])
def test_fins_that_overtake_the_last_data_wait_for_it(*, is_live: bool) -> None:
    packets = conversation()
    late = [*packets[:4], *packets[5:], packets[4]]  # the answer comes behind both FINs

    facts = decode(late, is_live=is_live)
    assert answers(facts) == ["answered"]
    if not is_live:
        (connection,) = connections(facts)
        assert connection.server_bytes == len(TLS13)
        assert connection.closed_us is not None


def test_flow_whose_last_data_never_comes_ends_with_its_fins() -> None:
    packets = conversation()
    lost = [*packets[:4], *packets[5:]]
    other = tcp(("10.0.0.9", 9), SERVER, b"x")

    for rest in ([], [(60_000_000, other), (120_000_000, other)]):
        first, *_ = connections(decode([*lost, *rest]))
        assert first.closed_us in {packets[-2][0], packets[-1][0]}


def test_same_ends_connect_again_while_data_is_awaited() -> None:
    packets = conversation()
    again = conversation(2_000_000, (70_000, 80_000))

    found = connections(decode([*packets[:4], *packets[5:], *again]))
    assert [connection.closed_us for connection in found] == [packets[-1][0], again[-2][0]]


def test_servers_syn_may_come_before_the_clients_after_the_same_ends_closed() -> None:
    again = swapped(conversation(2_000_000, (70_000, 80_000)), 0, 1)

    facts = decode([*conversation(), *again])
    assert answers(facts) == ["answered", "answered"]
    first, second = connections(facts)
    assert (first.parties, second.parties) == (second.parties, first.parties)
    assert second.opened_us == 2_000_000
    assert second.server_bytes == len(TLS13)


def test_servers_syn_may_come_before_the_clients_while_the_end_was_not_seen() -> None:
    again = swapped(conversation(2_000_000, (70_000, 80_000)), 0, 1)

    found = connections(decode([*conversation()[:5], *again]))
    assert [(each.opened_us, each.server_bytes) for each in found] == [
        (1_000_000, len(TLS13)),
        (2_000_000, len(TLS13)),
    ]


def test_late_doubles_of_a_closed_connections_syns_are_no_new_one() -> None:
    packets = conversation()
    doubles = [(1_400_000, packets[1][1]), (1_500_000, tcp(CLIENT, SERVER, flags=FIN | ACK))]

    assert len(connections(decode([*packets, *doubles]))) == 1


def test_servers_syn_alone_opens_nothing() -> None:
    answer = tcp(SERVER, CLIENT, sequence=5, flags=SYN | ACK)

    assert connections(decode([*conversation(), (2_000_000, answer)])) != []
    assert len(connections(decode([*conversation(), (2_000_000, answer)]))) == 1
