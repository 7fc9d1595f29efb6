import struct

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from agent.decode.handshake import (
    Handshake,
    begins_hello,
    is_client_start,
    is_server_start,
    may_begin_hello,
)
from agent.decode.tls import CLIENT_HELLO
from agent.errors import DecodeError
from tests.certificates import make_certificate
from tests.client_hellos import CHROME, CHROME_JA4, client_record
from tests.tls_messages import (
    RETRY_RANDOM,
    alert,
    certificate_message,
    extension,
    message,
    record,
    server_hello,
    tls13_hello,
    vector,
)

DONE = message(14, b"")
CHANGE_CIPHER_SPEC = record(b"\1", kind=20)


def asked(hello: bytes = CHROME) -> Handshake:
    handshake = Handshake()
    handshake.feed_client(client_record(hello))
    assert handshake.is_asked
    return handshake


def ssl2_client(version: int = 2, *, ciphers: int = 2) -> bytes:
    body = struct.pack(">BHHHH", 1, version, 3 * ciphers, 0, 16) + bytes(3 * ciphers + 16)
    return (0x8000 | len(body)).to_bytes(2, "big") + body


def ssl2_server(leaf: bytes, *, hit: int = 0) -> bytes:
    body = struct.pack(">BBBHHHH", 4, hit, 1, 2, len(leaf), 3, 16) + leaf + bytes(19)
    return (0x8000 | len(body)).to_bytes(2, "big") + body


@pytest.fixture(scope="module")
def leaf() -> bytes:
    return make_certificate().public_bytes(Encoding.DER)


def columns(handshake: Handshake, *names: str) -> tuple[object, ...]:
    found = handshake.columns()
    return tuple(found.get(name) for name in names)


def test_tls12_with_its_certificate_is_over_when_that_is_whole(leaf: bytes) -> None:
    handshake = asked()
    answer = server_hello(extensions=[extension(16, vector(vector(b"h2", 1), 2))])
    handshake.feed_server(record(message(2, answer)))
    before = handshake.is_answered, handshake.is_over
    handshake.feed_server(record(message(11, certificate_message([leaf, b"issuer"]))))

    assert (before, handshake.is_over) == ((True, False), True)
    assert handshake.columns() == {
        "handshake": "answered",
        "tls_version": "TLSv1.2",
        "cipher_code": 0xC02F,
        "cipher_suite": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "alpn": "h2",
        "server_name": "app.example.com",
        "ja3": handshake.columns()["ja3"],
        "ja4": CHROME_JA4,
        "cert_subject": "CN=service.example",
        "cert_issuer": "CN=service.example",
        "cert_not_before_us": 1_767_225_600_000_000,
        "cert_not_after_us": 1_798_761_600_000_000,
        "cert_self_signed": True,
        "cert_key_type": "ed25519",
        "cert_key_bits": 256,
        "cert_signature": "ed25519",
    }


@pytest.mark.parametrize("random", [bytes(32), RETRY_RANDOM], ids=["hello", "retry"])
def test_tls13_is_over_with_the_servers_hello(random: bytes) -> None:
    handshake = asked()
    handshake.feed_server(record(message(2, tls13_hello(random=random))) + CHANGE_CIPHER_SPEC)

    assert handshake.is_over
    assert columns(handshake, "tls_version", "cert_unseen") == ("TLSv1.3", "encrypted")


@pytest.mark.parametrize(
    ("answer", "unseen"),
    [
        (record(message(2, server_hello())) + CHANGE_CIPHER_SPEC + record(b"\xff" * 40), "resumed"),
        (
            record(message(2, server_hello()) + message(4, b"ticket")) + CHANGE_CIPHER_SPEC,
            "resumed",
        ),
        (record(message(2, server_hello()) + DONE), "not_sent"),
        (record(message(2, server_hello()) + message(12, b"keys")), "not_sent"),
        (record(message(2, server_hello()) + message(11, certificate_message([]))), "not_sent"),
        (
            record(message(2, server_hello()) + message(11, vector(vector(b"x", 3), 3))),
            "unreadable",
        ),
        (record(message(2, server_hello())) + alert(40), "incomplete"),
    ],
)
def test_without_a_certificate_the_reason_is_told(answer: bytes, unseen: str) -> None:
    handshake = asked()
    handshake.feed_server(answer)

    assert handshake.is_over
    assert columns(handshake, "handshake", "cert_unseen") == ("answered", unseen)


def test_certificate_of_which_bytes_lack_is_incomplete() -> None:
    handshake = asked()
    handshake.feed_server(record(message(2, server_hello())))
    handshake.miss()

    assert handshake.is_over
    assert columns(handshake, "handshake", "cert_unseen") == ("answered", "incomplete")


def test_answer_of_which_all_lacks_leaves_open_how_it_ended() -> None:
    handshake = asked()
    handshake.miss()

    assert columns(handshake, "handshake", "ja4") == (None, CHROME_JA4)


def test_alert_is_a_refusal_and_a_warning_is_not() -> None:
    handshake = asked()
    handshake.feed_server(alert(112, level=1))
    before = handshake.is_over
    handshake.feed_server(alert(70))

    assert (before, handshake.is_over) == (False, True)
    assert columns(handshake, "handshake", "tls_version") == ("refused", None)


def test_answer_that_is_no_tls_leaves_the_hello_unanswered() -> None:
    handshake = asked()
    handshake.feed_server(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    handshake.feed_server(b"more")

    assert handshake.is_over
    assert columns(handshake, "handshake") == ("unanswered",)


def test_hello_in_many_pieces_and_records_is_read() -> None:
    whole = message(1, CHROME)
    stream = b"".join(record(whole[at : at + 50]) for at in range(0, len(whole), 50))
    handshake = Handshake()
    for at in range(0, len(stream), 7):
        assert not handshake.is_asked
        handshake.feed_client(stream[at : at + 7])
    handshake.feed_client(b"\x17\x03\x03 what follows is passed over")

    assert columns(handshake, "ja4", "handshake") == (CHROME_JA4, "unanswered")


def test_server_without_a_hello_before_it_is_described() -> None:
    handshake = Handshake()
    handshake.feed_server(record(message(2, tls13_hello())))

    assert columns(handshake, "handshake", "tls_version", "ja3") == ("answered", "TLSv1.3", None)


@pytest.mark.parametrize("data", [record(message(2, server_hello())), alert(40), b"GET / HTTP"])
def test_client_that_begins_otherwise_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Handshake().feed_client(data)


def test_ssl2_is_named_with_its_certificate(leaf: bytes) -> None:
    handshake = Handshake()
    hello, answer = ssl2_client(), ssl2_server(leaf)
    states = []
    for data in (hello[:20], hello[20:]):
        handshake.feed_client(data)
        states.append(handshake.is_asked)
    for data in (answer[:40], answer[40:]):
        handshake.feed_server(data)
        states.append(handshake.is_over)

    assert states == [False, True, False, True]
    assert columns(handshake, "handshake", "tls_version", "cert_subject", "cipher_code") == (
        "answered",
        "SSLv2",
        "CN=service.example",
        None,
    )


def test_ssl2_session_that_goes_on_has_no_certificate() -> None:
    handshake = Handshake()
    handshake.feed_client(ssl2_client())
    handshake.feed_server(ssl2_server(b"", hit=1))

    assert columns(handshake, "tls_version", "cert_unseen") == ("SSLv2", "resumed")


def test_ssl2_hello_may_be_answered_in_tls() -> None:
    handshake = Handshake()
    handshake.feed_client(ssl2_client(0x0301))
    handshake.feed_server(record(message(2, server_hello(0x0301)) + DONE))

    assert columns(handshake, "handshake", "tls_version") == ("answered", "TLSv1.0")


def test_other_ssl2_message_is_no_answer() -> None:
    handshake = Handshake()
    handshake.feed_client(ssl2_client())
    wrong = bytearray(ssl2_server(b"x" * 40))
    wrong[7:9] = b"\xff\xff"  # a certificate longer than the message
    handshake.feed_server(bytes(wrong))

    assert columns(handshake, "handshake") == ("unanswered",)


def test_starts_are_told_apart() -> None:
    client, server = client_record(), record(message(2, server_hello()))

    assert is_client_start(client)
    assert is_client_start(client[:11])
    assert not is_client_start(client[:10])
    assert is_client_start(ssl2_client())
    assert is_server_start(server)
    assert is_server_start(ssl2_server(b""))
    assert not is_client_start(server)
    assert not is_server_start(client)
    assert may_begin_hello(client[:10])
    assert not may_begin_hello(client[:11])
    assert not may_begin_hello(b"GET")
    assert not may_begin_hello(b"")


@pytest.mark.parametrize(
    ("place", "value"), [(0, 23), (1, 2), (2, 9), (3, 0xFF), (5, 3), (6, 0xFF), (9, 2), (10, 9)]
)
def test_what_cannot_be_a_hello_is_none(place: int, value: int) -> None:
    data = bytearray(client_record())
    data[place] = value

    assert not begins_hello(bytes(data), kind=CLIENT_HELLO)


@pytest.mark.parametrize(
    ("place", "value"), [(0, 0x00), (0, 0x81), (2, 2), (3, 9), (6, 0), (6, 5), (10, 9)]
)
def test_what_cannot_be_an_ssl2_hello_is_none(place: int, value: int) -> None:
    data = bytearray(ssl2_client())
    data[place] = value

    assert not is_client_start(bytes(data))
