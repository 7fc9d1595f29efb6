"""What flows of known ports hold, from packets to facts."""

from collections.abc import Sequence

import pytest

from agent.decode.facts import ConnectionSeen, ContentSeen, Fact, HostCalled, Parties
from agent.decode.packet import Link
from agent.decode.traffic import MAX_NAMES, Traffic
from tests.client_hellos import client_record
from tests.dns_messages import address, dns, name, record
from tests.packets import CLIENT, Talk, tcp, udp

IMDS = ("169.254.169.254", 80)
IMDS_V6 = ("fd00:ec2::254", 80)
RESOLVER = ("10.0.0.53", 53)
HTTP_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmore"
V1 = b"GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n"
TOKEN = (
    b"PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n"
    b"X-aws-ec2-metadata-token-ttl-seconds: 60\r\nContent-Length: 0\r\n\r\n"
)
V2 = (
    b"GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\nHost: 169.254.169.254\r\n"
    b"X-aws-ec2-metadata-token: AQAE\r\n\r\n"
)


def facts_of(packets: Sequence[tuple[int, bytes]], *, traffic: Traffic | None = None) -> list[Fact]:
    traffic = traffic or Traffic()
    for ts_us, packet in packets:
        traffic.add(packet, Link.RAW, ts_us)
    traffic.end(packets[-1][0])
    return traffic.drain()


def requests(facts: Sequence[Fact]) -> list[tuple[object, object]]:
    return [
        (fact.values["imds_version"], fact.values["purpose"])
        for fact in facts
        if isinstance(fact, ContentSeen) and fact.kind == "imds_request"
    ]


def answers(facts: Sequence[Fact]) -> list[dict[str, object]]:
    return [
        dict(fact.values)
        for fact in facts
        if isinstance(fact, ContentSeen) and fact.kind == "dns_answer"
    ]


def calls(facts: Sequence[Fact]) -> list[tuple[str, bool]]:
    return [(fact.host, fact.encrypted) for fact in facts if isinstance(fact, HostCalled)]


def protocols(facts: Sequence[Fact]) -> list[str | None]:
    return [fact.app_protocol for fact in facts if isinstance(fact, ConnectionSeen)]


@pytest.mark.parametrize("server", [IMDS, IMDS_V6])
@pytest.mark.parametrize("size", [1_400, 9])
def test_requests_to_the_metadata_service_are_told_one_by_one(
    server: tuple[str, int], size: int
) -> None:
    client = ("fd00::1" if ":" in server[0] else "10.0.0.1", 40_000)
    talk = Talk(client=client, server=server).open()
    for _ in range(100):
        for request in (V1, TOKEN, V2):
            talk.say(request, size=size).answer(HTTP_OK)
    facts = facts_of(talk.close().packets)

    assert requests(facts) == [(1, "other"), (2, "token"), (2, "credentials")] * 100
    assert protocols(facts) == ["http"]


def test_other_bytes_to_the_metadata_service_are_passed_over() -> None:
    facts = facts_of(Talk(server=IMDS).open().say(b"?\r\n\r\n").say(V1).close().packets)

    assert requests(facts) == []


def test_missing_requests_end_what_is_read() -> None:
    traffic = Traffic()
    talk = Talk(server=IMDS).open().say(V1).say(V1).say(V1)
    cut = talk.packets[4][1][:60]
    packets = [*talk.packets[:4], (9, cut), *talk.packets[5:]]

    assert requests(facts_of(packets, traffic=traffic)) == [(1, "other")]
    assert traffic.lost == {"gap": 1}


def test_missing_answers_of_the_metadata_service_do_not_matter() -> None:
    talk = Talk(server=IMDS).open().say(V1).answer(HTTP_OK).say(V1)
    cut = talk.packets[4][1][:60]

    assert len(requests(facts_of([*talk.packets[:4], (9, cut), *talk.packets[5:]]))) == 2


def test_dns_answers_over_udp_are_told_record_by_record() -> None:
    question, response = (
        dns("A.test", flags=0x0100),
        dns("A.test", [record(5, name("b.test")), address("192.0.2.7", ttl_s=5)]),
    )
    facts = facts_of([(1, udp(CLIENT, RESOLVER, question)), (2, udp(RESOLVER, CLIENT, response))])

    assert answers(facts) == [
        {"name": "a.test", "type": "CNAME", "ttl_s": 60},
        {"name": "a.test", "type": "A", "ttl_s": 5, "address": "192.0.2.7"},
    ]
    assert protocols(facts) == ["dns"]
    assert facts[0].parties == Parties("udp", *CLIENT, *RESOLVER)


def test_answer_that_is_captured_on_two_interfaces_is_told_once() -> None:
    response = udp(RESOLVER, CLIENT, dns("a.test", [address("192.0.2.7")]))

    assert len(answers(facts_of([(1, response), (2, response)]))) == 1
    assert len(answers(facts_of([(1, response), (1_000_001, response)]))) == 2


def test_answer_whose_question_was_not_captured_has_the_same_parties() -> None:
    facts = facts_of([(2, udp(RESOLVER, CLIENT, dns("a.test", [address("192.0.2.7")])))])

    assert facts[0].parties == Parties("udp", *CLIENT, *RESOLVER)


def test_dns_answers_over_tcp_are_told_however_they_are_cut() -> None:
    message = dns("a.test", [address("192.0.2.7")])
    framed = len(message).to_bytes(2, "big") + message
    talk = Talk(server=RESOLVER).open().say(b"\0\x05hello").answer(framed * 3, size=11).close()
    facts = facts_of(talk.packets)

    assert [answer["address"] for answer in answers(facts)] == ["192.0.2.7"] * 3
    assert protocols(facts) == ["dns"]


def test_what_is_no_dns_is_passed_over() -> None:
    facts = facts_of([(1, udp(CLIENT, RESOLVER, b"?")), (2, udp(RESOLVER, CLIENT, b"?"))])

    assert answers(facts) == []
    assert protocols(facts) == [None]


def test_snmp_is_recognised_in_one_of_the_first_datagrams() -> None:
    request = bytes.fromhex(
        "3018020100040670 75626c6963a00b020101020100020100 3000".replace(" ", "")
    )
    server = ("10.0.0.9", 1_161)
    facts = facts_of([(1, udp(CLIENT, server, b"?")), (2, udp(CLIENT, server, request))])
    late = facts_of(
        [*((at, udp(CLIENT, server, b"?")) for at in range(8)), (9, udp(CLIENT, server, request))]
    )

    assert (protocols(facts), protocols(late)) == (["snmp"], [None])


def test_http_client_names_the_host_that_it_calls_in_the_clear() -> None:
    request = b"GET / HTTP/1.1\r\nHost: sqs.us-east-1.amazonaws.com\r\n\r\n"
    facts = facts_of(Talk(server=("192.0.2.7", 80)).open().say(request, request).close().packets)

    assert calls(facts) == [("sqs.us-east-1.amazonaws.com", False)]
    assert protocols(facts) == ["http"]


def test_host_of_a_proxy_is_called_over_tls() -> None:
    talk = (
        Talk(server=("10.0.0.8", 3_128))
        .open()
        .say(b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n")
    )
    facts = facts_of(talk.answer(b"HTTP/1.1 200 OK\r\n\r\n").say(client_record()).close().packets)

    assert calls(facts) == []
    assert protocols(facts) == ["tls"]


def test_host_that_is_not_named_is_what_the_name_server_called_the_address() -> None:
    response = udp(RESOLVER, CLIENT, dns("S3.amazonaws.com", [address("10.0.0.2")]))
    in_tls = Talk().open().say(client_record()).close()
    in_clear = Talk(server=("10.0.0.2", 80)).open().say(b"GET / HTTP/1.0\r\n\r\n").close()
    facts = facts_of([(1, response), *in_tls.packets, *in_clear.packets])

    assert calls(facts) == [("s3.amazonaws.com", True), ("s3.amazonaws.com", False)]


def test_names_are_bounded_and_the_oldest_is_forgotten() -> None:
    traffic = Traffic()
    for number in range(MAX_NAMES + 1):
        text = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        traffic.add(udp(RESOLVER, CLIENT, dns("a.test", [address(text)])), Link.RAW, 1)

    assert traffic.name_of("10.0.0.0") is None
    assert traffic.name_of("10.0.0.1") == "a.test"


def test_clear_text_is_named_and_its_bytes_are_dropped() -> None:
    talk = (
        Talk(server=("10.0.0.2", 2_323))
        .open()
        .answer(b"\xff\xfd\x18\xff\xfd\x20")
        .say(b"x")
        .close()
    )

    assert protocols(facts_of(talk.packets)) == ["telnet"]


def test_missing_bytes_of_both_directions_end_the_search_for_a_protocol() -> None:
    talk = Talk().open().say(b"x" * 40).answer(b"y" * 40)
    packets = [*talk.packets[:3], *((ts_us, packet[:60]) for ts_us, packet in talk.packets[3:])]
    more = tcp(*(CLIENT, ("10.0.0.2", 443)), client_record(), sequence=1_041)

    assert protocols(facts_of([*packets, (9_000_000, more)])) == [None]
