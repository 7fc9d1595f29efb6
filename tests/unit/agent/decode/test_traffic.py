"""Packets to facts, through flow table and conversations."""

import struct
from collections.abc import Sequence

import pytest

from agent.decode.facts import (
    ConnectionSeen,
    ContentSeen,
    Fact,
    HostCalled,
    Parties,
    ProtocolSeen,
)
from agent.decode.packet import ACK, FIN, SYN, Link
from agent.decode.stream import STREAM_BYTES
from agent.decode.traffic import Traffic
from tests.client_hellos import CHROME, CHROME_JA4, client_record
from tests.packets import CLIENT, SERVER, Talk, ethernet, tcp, udp
from tests.tls_messages import alert, message, record, server_hello, tls13_hello

PARTIES = Parties("tcp", *CLIENT, *SERVER)
HELLO = client_record(CHROME)
TLS13 = record(message(2, tls13_hello()))
RST_ACK = 0x14


def facts_of(
    packets: Sequence[tuple[int, bytes]], *, traffic: Traffic | None = None, end: bool = True
) -> list[Fact]:
    traffic = traffic or Traffic()
    for ts_us, packet in packets:
        traffic.add(packet, Link.RAW, ts_us)
    if end:
        traffic.end(max(ts_us for ts_us, _ in packets))
    return traffic.drain()


def sessions(facts: Sequence[Fact]) -> list[ContentSeen]:
    return [fact for fact in facts if isinstance(fact, ContentSeen)]


def connections(facts: Sequence[Fact]) -> list[ConnectionSeen]:
    return [fact for fact in facts if isinstance(fact, ConnectionSeen)]


def handshakes(facts: Sequence[Fact]) -> list[object]:
    return [session.values.get("handshake") for session in sessions(facts)]


def test_connection_with_tls_becomes_facts_in_order() -> None:
    facts = facts_of(Talk().open().say(HELLO).answer(TLS13).close().packets)

    assert [type(fact) for fact in facts] == [HostCalled, ContentSeen, ConnectionSeen]
    assert facts[0] == HostCalled(1_003_000, PARTIES, "app.example.com", encrypted=True)
    assert sessions(facts)[0].parties == PARTIES
    assert sessions(facts)[0].ts_us == 1_004_000
    assert connections(facts) == [
        ConnectionSeen(
            parties=PARTIES,
            opened_us=1_000_000,
            closed_us=1_006_000,
            has_start=True,
            client_bytes=len(HELLO),
            server_bytes=len(TLS13),
            app_protocol="tls",
        )
    ]


@pytest.mark.parametrize("size", [1, 10, 11, 60])
def test_hello_in_small_segments_is_read(size: int) -> None:
    facts = facts_of(Talk().open().say(HELLO, size=size).answer(TLS13, size=size).packets)

    (session,) = sessions(facts)
    assert session.values["ja4"] == CHROME_JA4
    assert session.values["tls_version"] == "TLSv1.3"


def test_tls_may_begin_after_clear_text() -> None:
    talk = Talk(server=("10.0.0.2", 25)).open().answer(b"220 mail ESMTP\r\n").say(b"EHLO me\r\n")
    talk.answer(b"250-mail\r\n250 STARTTLS\r\n").say(b"STARTTLS\r\n").answer(b"220 go\r\n")
    facts = facts_of(talk.say(HELLO).answer(TLS13).close().packets)

    assert handshakes(facts) == ["answered"]
    assert connections(facts)[0].app_protocol == "tls"


def test_tls_far_behind_clear_text_is_not_looked_for() -> None:
    talk = Talk().open().say(bytes(STREAM_BYTES)).say(HELLO).answer(TLS13)

    assert sessions(facts_of(talk.packets))[0].values.get("ja4") is None


def test_hello_waits_five_seconds_for_its_answer() -> None:
    traffic = Traffic()
    talk = Talk().open().say(HELLO)
    assert sessions(facts_of(talk.packets, traffic=traffic, end=False)) == []
    traffic.pass_time(6_002_999)
    assert sessions(traffic.drain()) == []
    traffic.add(tcp(("10.9.9.9", 1), SERVER), Link.RAW, 6_003_000)

    (session,) = sessions(traffic.drain())
    assert (session.ts_us, session.values["handshake"]) == (6_003_000, "unanswered")


def test_answer_in_time_is_told_once() -> None:
    traffic = Traffic()
    talk = Talk().open().say(HELLO).answer(record(message(2, server_hello())))
    facts_of(talk.packets, traffic=traffic, end=False)
    traffic.pass_time(60_000_000)
    assert sessions(traffic.drain()) == []
    traffic.end(60_000_000)

    (session,) = sessions(traffic.drain())
    assert session.values["cert_unseen"] == "incomplete"


def test_hello_before_the_end_of_connection_or_capture_is_unanswered() -> None:
    open_talk, closed = Talk().open().say(HELLO), Talk().open().say(HELLO).reset(by_server=True)

    assert handshakes(facts_of(open_talk.packets)) == ["unanswered"]
    assert handshakes(facts_of(closed.packets)) == ["unanswered"]


def test_alert_is_a_refusal() -> None:
    assert handshakes(facts_of(Talk().open().say(HELLO).answer(alert(70)).packets)) == ["refused"]


def test_half_a_hello_is_none() -> None:
    facts = facts_of(Talk().open().say(HELLO[:100]).close().packets)

    assert sessions(facts) == []
    assert connections(facts)[0].app_protocol == "tls"


def test_what_only_looks_like_a_hello_is_none() -> None:
    false_hello = HELLO[:44] + b"\xff" * (len(HELLO) - 44)
    facts = facts_of(Talk().open().say(false_hello).answer(b"?").close().packets)

    assert sessions(facts) == []
    assert connections(facts)[0].app_protocol is None


def test_missing_bytes_of_the_server_are_counted() -> None:
    traffic = Traffic()
    certificate = record(message(11, bytes(3_000)))
    talk = Talk().open().say(HELLO).answer(record(message(2, server_hello())) + certificate)
    cut = talk.packets[-1][1][:-100]
    facts = facts_of([*talk.packets[:-1], (9, cut)], traffic=traffic)

    (session,) = sessions(facts)
    assert session.values["cert_unseen"] == "incomplete"
    assert traffic.lost == {"gap": 1}


def test_server_bytes_that_all_lack_leave_the_end_open() -> None:
    talk = Talk().open().say(HELLO).answer(TLS13)
    cut = talk.packets[-1][1][:60]
    facts = facts_of([*talk.packets[:-1], (9, cut)])

    assert handshakes(facts) == [None]


def test_order_and_doubles_of_segments_do_not_matter() -> None:
    talk = Talk().open().say(HELLO, size=200).answer(TLS13, size=40)
    opening, rest = talk.packets[:3], talk.packets[3:]
    mixed = [*opening, *rest[::-1], *rest]

    (session,) = sessions(facts_of(mixed))
    assert session.values["ja4"] == CHROME_JA4
    assert session.values["tls_version"] == "TLSv1.3"


def test_server_whose_clients_hello_was_not_captured_is_told_of_when_it_cannot_come() -> None:
    traffic = Traffic()
    talk = Talk().open().say(b"x" * 50)
    cut = talk.packets[3][1][:-1]
    answer = tcp(SERVER, CLIENT, TLS13, sequence=5_001)
    facts = facts_of([*talk.packets[:3], (5, answer), (6, cut)], traffic=traffic, end=False)

    assert handshakes(facts) == ["answered"]
    assert traffic.lost == {"gap": 1}


def test_capture_that_begins_in_the_middle_takes_the_first_sender_for_the_client() -> None:
    packets = Talk().open().answer(b"x").close().packets[3:]

    (connection,) = connections(facts_of(packets))
    assert connection.parties == Parties("tcp", *SERVER, *CLIENT)
    assert not connection.has_start


def test_servers_hello_tells_who_is_the_client() -> None:
    packets = Talk().open().say(HELLO).answer(TLS13).packets[4:]

    (session,) = sessions(facts_of(packets))
    assert session.parties == PARTIES
    assert session.values["handshake"] == "answered"


def test_capture_that_begins_with_the_servers_syn_knows_the_client() -> None:
    (connection,) = connections(facts_of(Talk().open().close().packets[1:]))

    assert connection.parties == PARTIES
    assert connection.has_start


def test_attempt_is_no_connection() -> None:
    syn = tcp(CLIENT, SERVER, sequence=1, flags=SYN)
    refused = tcp(SERVER, CLIENT, sequence=0, flags=RST_ACK)

    assert facts_of([(1, syn), (2, refused)]) == []
    assert facts_of([(1, syn), (2, syn)]) == []
    assert facts_of([(1, refused)]) == []


def test_attempts_without_answer_push_no_connection_out() -> None:
    traffic = Traffic(max_flows=2)
    open_one = Talk().open().say(b"x")
    attempts = [
        (2_000_000 + port, tcp(("10.0.0.8", port), SERVER, flags=SYN)) for port in range(1, 6)
    ]
    talked = [*open_one.packets, *attempts, *Talk(first_us=3_000_000).close().packets]

    (connection,) = connections(facts_of(talked, traffic=traffic))
    assert connection.closed_us is not None
    assert traffic.lost == {"evicted": 1}  # the first attempt might still be answered


def test_attempts_without_answer_are_forgotten_in_time() -> None:
    traffic = Traffic()
    facts_of([(1, tcp(CLIENT, SERVER, flags=SYN))], traffic=traffic, end=False)
    other = tcp(("10.0.0.9", 9), SERVER, b"x")
    later = tcp(CLIENT, SERVER, b"x", sequence=2)

    found = connections(facts_of([(200_000_000, other), (200_000_001, later)], traffic=traffic))
    assert [connection.has_start for connection in found] == [False, False]


def test_second_attempt_between_the_same_ends_counts() -> None:
    lost = [tcp(CLIENT, SERVER, sequence=7, flags=SYN)]
    lost.append(tcp(SERVER, CLIENT, sequence=3, flags=SYN | ACK))
    talk = Talk().open().say(b"hello").close()

    (connection,) = connections(facts_of([*((1, each) for each in lost), *talk.packets]))
    assert (connection.opened_us, connection.client_bytes) == (1_000_000, 5)


def test_payload_of_a_syn_is_read() -> None:
    syn = tcp(CLIENT, SERVER, b"early", sequence=1, flags=SYN)
    rest = tcp(CLIENT, SERVER, b"late", sequence=7)

    (connection,) = connections(facts_of([(1, syn), (2, rest)]))
    assert (connection.has_start, connection.client_bytes) == (True, 9)


def test_live_traffic_tells_protocols_and_no_connections() -> None:
    talk = Talk().open().say(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").close()

    kinds = [type(fact) for fact in facts_of(talk.packets, traffic=Traffic(is_live=True))]
    assert kinds == [HostCalled, ProtocolSeen]


def test_connection_that_goes_on_is_open() -> None:
    (connection,) = connections(facts_of(Talk().open().say(b"x").packets))

    assert connection.closed_us is None


def test_late_packets_of_a_closed_connection_are_no_new_one() -> None:
    talk = Talk().open().close()
    late = tcp(SERVER, CLIENT, b"late", sequence=1)

    assert len(connections(facts_of([*talk.packets, (1_500_000, late)]))) == 1


def test_same_ends_can_connect_again() -> None:
    first = Talk().open().say(b"one").close()
    second = Talk(sequences=[90_000, 91_000], first_us=2_000_000).open().say(b"second").close()

    found = connections(facts_of([*first.packets, *second.packets]))
    assert [connection.client_bytes for connection in found] == [3, 6]


def test_syn_ends_a_connection_whose_end_was_not_seen() -> None:
    first = Talk().open().say(b"one")
    second = Talk(sequences=[90_000, 91_000], first_us=2_000_000).open()

    found = connections(facts_of([*first.packets, *second.packets]))
    assert [connection.closed_us for connection in found] == [1_003_000, None]


def test_syn_sent_once_more_is_the_same_connection() -> None:
    talk = Talk().open().say(b"x").close()
    packets = [talk.packets[0], *talk.packets]

    assert len(connections(facts_of(packets))) == 1


def test_bytes_sent_again_count_once_and_numbers_wrap() -> None:
    talk = Talk(sequences=[0xFFFF_FFF0, 0]).open().say(bytes(100), size=10)
    packets = [*talk.packets, *talk.packets[3:]]

    (connection,) = connections(facts_of(packets))
    assert connection.client_bytes == 100


def test_udp_flow_ends_after_a_minute_of_silence() -> None:
    query, answer = udp(CLIENT, SERVER, b"ask"), udp(SERVER, CLIENT, b"answer")
    traffic = Traffic()
    facts_of([(1, query), (2, answer)], traffic=traffic, end=False)
    facts = facts_of([(70_000_000, query)], traffic=traffic)

    first, second = connections(facts)
    assert (first.closed_us, first.client_bytes, first.server_bytes) == (2, 3, 6)
    assert (second.opened_us, second.closed_us) == (70_000_000, None)
    assert first.parties == Parties("udp", *CLIENT, *SERVER)


def test_idle_udp_flows_end_while_others_go_on() -> None:
    packets = [(1, udp(CLIENT, SERVER, b"ask")), (80_000_000, udp(("10.0.0.9", 9), SERVER, b"x"))]
    traffic = Traffic()

    (ended,) = connections(facts_of(packets, traffic=traffic, end=False))
    assert ended.closed_us == 1


def test_flows_are_bounded_and_the_idle_one_goes_first() -> None:
    traffic = Traffic(max_flows=2)
    busy, idle = Talk(client=("10.0.0.3", 1)).open(), Talk(client=("10.0.0.4", 1)).open()
    again = tcp(("10.0.0.3", 1), SERVER, b"x", sequence=1_001, flags=ACK)
    packets = [*busy.packets, *idle.packets, (9_000_000, again)]
    third = Talk(client=("10.0.0.5", 1), first_us=9_000_001).open()

    found = connections(facts_of([*packets, *third.packets], traffic=traffic))
    assert next(iter(found)).parties.client_address == "10.0.0.4"
    assert traffic.lost == {"evicted": 1}


def test_unfinished_handshakes_hold_a_bounded_memory() -> None:
    traffic = Traffic(max_flows=400)
    hello = client_record(CHROME)
    unfinished = hello[:3] + struct.pack(">H", 16_000) + hello[5:] + bytes(12_000)
    for port in range(1, 201):
        talk = Talk(client=("10.0.0.9", port), first_us=port * 10_000).open().say(unfinished)
        facts_of(talk.packets, traffic=traffic, end=False)

    assert traffic.lost["evicted"] > 100
    (late,) = sessions(
        facts_of(Talk(first_us=3_000_000).open().say(hello).close().packets, traffic=traffic)
    )[-1:]
    assert late.parties == PARTIES


def test_early_segments_hold_a_bounded_memory() -> None:
    traffic = Traffic(max_flows=400)
    for port in range(1, 201):
        talk = Talk(client=("10.0.0.9", port), first_us=port * 10_000).open()
        early = tcp(talk.client, SERVER, bytes(12_000), sequence=2_000)
        end = tcp(talk.client, SERVER, sequence=20_000, flags=FIN | ACK)
        packets = [*talk.packets, (port * 10_000 + 9, early), (port * 10_000 + 10, end)]
        facts_of(packets, traffic=traffic, end=False)

    assert traffic.lost["evicted"] > 100


def test_closed_connections_are_forgotten_after_a_minute() -> None:
    traffic = Traffic()
    facts_of(Talk().open().close().packets, traffic=traffic, end=False)
    traffic.add(tcp(("10.0.0.9", 9), SERVER, sequence=1), Link.RAW, 100_000_000)
    traffic.add(tcp(SERVER, CLIENT, b"late", sequence=1), Link.RAW, 100_000_001)
    traffic.end(100_000_001)

    assert [connection.has_start for connection in connections(traffic.drain())] == [False, False]


def test_what_is_not_decoded_is_counted() -> None:
    traffic = Traffic()
    fragment = bytearray(tcp(CLIENT, SERVER))
    fragment[6:8] = struct.pack(">H", 0x2000)
    traffic.add(bytes(fragment), Link.RAW, 1)
    traffic.add(ethernet(bytes(28), kind=0x0806), Link.ETHERNET, 1)
    traffic.add(b"?", None, 1)

    assert traffic.packets == 0
    assert traffic.lost == {"fragment": 1, "link_type": 1}
