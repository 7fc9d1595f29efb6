import pytest

from agent.decode import dns as dns_module
from agent.decode.dns import MAX_ANSWERS, Answer, DnsMessage, read_dns
from agent.errors import DecodeError
from tests.dns_messages import address, dns, name, record


def test_answers_are_read_with_the_name_that_was_asked_for() -> None:
    message = dns(
        "WWW.Example.test",
        [
            record(5, name("edge.example.test"), ttl_s=300),
            address("192.0.2.7", ttl_s=30),
            address("2001:db8::7"),
            record(65_400, b"x"),
        ],
    )

    assert read_dns(message) == DnsMessage(
        "www.example.test",
        is_response=True,
        answers=(
            Answer("CNAME", None, 300),
            Answer("A", "192.0.2.7", 30),
            Answer("AAAA", "2001:db8::7", 60),
            Answer("TYPE65400", None, 60),
        ),
    )


def test_query_has_no_answers() -> None:
    query = dns("a.test", flags=0x0100)

    assert read_dns(query) == DnsMessage("a.test", is_response=False, answers=())


def test_bytes_of_names_that_could_mislead_are_numbers() -> None:
    assert read_dns(dns(b"\x06_a-\x1b.\xff\x04test\0")).name == "_a-\\027\\046\\255.test"
    assert read_dns(dns(b"\0")).name == "."


def test_mapped_addresses_are_ipv4_and_odd_ones_none() -> None:
    mapped, short = record(28, bytes(10) + b"\xff\xff\xc0\0\2\7"), record(1, b"\1\2\3")

    found = read_dns(dns("a.test", [mapped, short])).answers
    assert [answer.address for answer in found] == ["192.0.2.7", None]


def test_record_of_another_network_is_passed_over() -> None:
    other = bytearray(address("192.0.2.7"))
    other[5] = 3  # class CHAOS

    assert read_dns(dns("a.test", [bytes(other)])).answers == ()


def test_lifetime_beyond_31_bits_is_none() -> None:
    assert read_dns(dns("a.test", [address("192.0.2.7", ttl_s=0xFFFF_FFFF)])).answers[0].ttl_s == 0


def test_records_are_bounded() -> None:
    assert len(read_dns(dns("a.test", [address("192.0.2.7")] * 300)).answers) == MAX_ANSWERS


@pytest.mark.parametrize(
    "message",
    [
        b"",
        bytes(12),
        dns("a.test", flags=0x2800),
        dns("a.test")[:-3],
        dns("a.test")[:15],
        dns("a.test", [address("192.0.2.7")])[:-1],
        dns("a.test", [address("192.0.2.7")])[:-8],
        dns(b"\xc0\x0c"),
        dns(b"\xc0"),
        dns(b"\x80abc\0"),
        dns(b"\x3f" + b"a" * 63 + b"\xc0\x0c"),
        dns((b"\x3f" + b"a" * 63) * 5 + b"\0"),
    ],
)
def test_what_does_not_fit_is_refused(message: bytes) -> None:
    with pytest.raises(DecodeError):
        read_dns(message)


def test_names_of_records_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of pointers in each of many records would take long, and nobody asks for it."""
    chain = b"".join(b"\x01a" + (0xC000 | 12).to_bytes(2, "big") for _ in range(60))
    names_read: list[int] = []
    read_name = dns_module._read_name

    def count(message: bytes, place: int) -> tuple[str, int]:
        names_read.append(place)
        return read_name(message, place)

    monkeypatch.setattr(dns_module, "_read_name", count)
    found = read_dns(dns("a.test", [address("192.0.2.7"), record(16, chain), address("::2")]))
    assert [answer.type for answer in found.answers] == ["A", "TXT", "AAAA"]
    assert len(names_read) == 1


@pytest.mark.parametrize("raw", [b"\x01", b"\x80a\0", b"\x05ab"])
def test_record_whose_name_is_cut_is_refused(raw: bytes) -> None:
    message = dns("a.test", [address("192.0.2.7")])
    with pytest.raises(DecodeError):
        read_dns(message[:24] + raw)
