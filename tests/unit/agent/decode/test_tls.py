import pytest

from agent.decode.cipher_suites import CIPHER_SUITES, OLDER_CODES, TLS13_CODES
from agent.decode.server_answer import ServerAnswer
from agent.decode.tls import (
    MAX_MESSAGE_BYTES,
    Alert,
    HandshakeReader,
    Message,
    ServerHello,
    name_version,
    read_leaf,
    read_server_hello,
)
from agent.errors import DecodeError
from tests.tls_messages import (
    RETRY_RANDOM,
    alert,
    certificate_message,
    extension,
    message,
    record,
    server_hello,
    tls13_hello,
)


def test_message_that_spans_records_is_joined() -> None:
    whole = message(2, b"hello") + message(14, b"")
    reader = HandshakeReader()

    assert reader.feed(record(whole[:2]) + record(whole[2:6])) == []
    assert reader.feed(record(whole[6:])) == [Message(2, b"hello"), Message(14, b"")]


def test_record_that_comes_in_pieces_is_joined() -> None:
    reader = HandshakeReader()
    pieces = [bytes([byte]) for byte in record(message(2, b"ab"))]

    found = [part for piece in pieces for part in reader.feed(piece)]

    assert found == [Message(2, b"ab")]


def test_alert_between_messages_keeps_its_place() -> None:
    data = record(message(2, b"")) + alert(112, level=1) + record(message(11, b""))

    assert HandshakeReader().feed(data) == [Message(2, b""), Alert(1, 112), Message(11, b"")]


def test_nothing_is_read_once_it_is_encrypted() -> None:
    reader = HandshakeReader()
    ccs, data = record(b"\1", kind=20), record(b"secret", kind=23)

    assert reader.feed(ccs + data + record(message(2, b""))) == []
    assert reader.is_encrypted


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "type 72"),
        (b"S", "type 83"),
        (b"\x16\x02", "version 2"),
        (b"\x16\x03\x01\xff\xff", "too long"),
        (record(b"", kind=21), "empty"),
        (record(b"\x0b" + (MAX_MESSAGE_BYTES + 1).to_bytes(3, "big")), "too large"),
    ],
)
def test_what_is_no_tls_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        HandshakeReader().feed(data)


@pytest.mark.parametrize(
    ("body", "hello"),
    [
        (server_hello(), ServerHello(0x0303, "TLSv1.2", 0xC02F, is_retry=False)),
        (
            server_hello(0x0300, cipher=5, extensions=None),
            ServerHello(0x0300, "SSLv3", 5, is_retry=False),
        ),
        (
            server_hello(0x0301, session_id=bytes(32)),
            ServerHello(0x0301, "TLSv1.0", 0xC02F, is_retry=False),
        ),
        (tls13_hello(), ServerHello(0x0304, "TLSv1.3", 0x1301, is_retry=False)),
        (tls13_hello(0x7F1C), ServerHello(0x7F1C, "TLSv1.3", 0x1301, is_retry=False)),
        (
            tls13_hello(random=RETRY_RANDOM),
            ServerHello(0x0304, "TLSv1.3", 0x1301, is_retry=True),
        ),
        (server_hello(0x0305), ServerHello(0x0305, None, 0xC02F, is_retry=False)),
    ],
)
def test_server_hello_of_each_version(body: bytes, hello: ServerHello) -> None:
    assert read_server_hello(body) == hello


@pytest.mark.parametrize(
    "body",
    [
        b"",
        server_hello()[:36],
        server_hello() + b"\0",
        server_hello(extensions=[b"\0"]),
        server_hello(extensions=[extension(43, b"\3")]),
    ],
)
def test_server_hello_that_is_cut_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        read_server_hello(body)


def test_leaf_is_the_first_certificate() -> None:
    assert read_leaf(certificate_message([b"leaf", b"issuer"])) == b"leaf"
    assert read_leaf(certificate_message([])) is None
    with pytest.raises(DecodeError):
        read_leaf(certificate_message([b"leaf"])[:-1])


def test_alerts_may_share_a_record_or_span_two() -> None:
    shared = record(b"\x01\x70\x02\x46", kind=21)
    assert HandshakeReader().feed(shared) == [Alert(1, 112), Alert(2, 70)]

    reader = HandshakeReader()
    assert reader.feed(record(b"\x01\x70\x02", kind=21)) == [Alert(1, 112)]
    assert reader.feed(record(b"\x46", kind=21)) == [Alert(2, 70)]


def test_alert_has_a_name() -> None:
    assert Alert(2, 70).name == "protocol_version"
    assert Alert(2, 200).name == "alert_200"


@pytest.mark.parametrize(
    ("level", "description", "ends"), [(2, 40, True), (1, 0, True), (1, 112, False)]
)
def test_alert_ends_the_handshake(level: int, description: int, *, ends: bool) -> None:
    assert Alert(level, description).ends_handshake is ends


def test_versions_that_do_not_exist_have_no_name() -> None:
    assert name_version(0x0200) is None
    assert name_version(0xFB1A) == "TLSv1.3"


def answer(data: bytes) -> ServerAnswer:
    gathered = ServerAnswer()
    gathered.feed(data)
    return gathered


def test_answer_is_complete_with_the_certificate() -> None:
    hello = record(message(2, server_hello()))
    gathered = answer(hello)

    before = gathered.is_complete
    gathered.feed(record(message(11, certificate_message([b"leaf"])) + message(14, b"")))
    assert (before, gathered.is_complete) == (False, True)
    assert gathered.leaf == b"leaf"


@pytest.mark.parametrize("kind", [12, 14])
def test_answer_without_certificate_is_complete(kind: int) -> None:
    gathered = answer(record(message(2, server_hello()) + message(kind, b"")))

    assert (gathered.is_complete, gathered.leaf) == (True, None)


def test_answer_passes_over_other_messages() -> None:
    gathered = answer(record(message(2, server_hello()) + message(22, b"stapled")))

    assert not gathered.is_complete


@pytest.mark.parametrize("random", [bytes(32), RETRY_RANDOM])
def test_answer_of_tls13_is_complete_with_the_hello(random: bytes) -> None:
    gathered = answer(record(message(2, tls13_hello(random=random))))

    assert gathered.is_complete
    assert gathered.hello is not None
    assert gathered.hello.tls_version == "TLSv1.3"


def test_answer_with_a_warning_goes_on() -> None:
    gathered = answer(alert(112, level=1) + record(message(2, tls13_hello())))

    assert gathered.alert is None
    assert gathered.hello is not None


def test_answer_ends_with_a_fatal_alert() -> None:
    gathered = answer(alert(70) + alert(80))

    assert gathered.is_complete
    assert gathered.alert == Alert(2, 70)


def test_answer_that_echoes_our_hello_is_refused() -> None:
    with pytest.raises(DecodeError, match="message 1 comes before ServerHello"):
        answer(record(message(1, b"")))


def test_cipher_suites_are_distinct() -> None:
    assert CIPHER_SUITES[0xC02F] == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    assert CIPHER_SUITES[0x1301] == "TLS_AES_128_GCM_SHA256"
    assert CIPHER_SUITES[0x0003] == "TLS_RSA_EXPORT_WITH_RC4_40_MD5"
    assert len(set(CIPHER_SUITES.values())) == len(CIPHER_SUITES)
    assert len(TLS13_CODES) + len(OLDER_CODES) < 128


@pytest.mark.parametrize(
    ("content", "alpn"),
    [
        (b"\0\x03\x02h2", "h2"),
        (b"", None),
        (b"\0", None),
        (b"\0\x03\x09h2", None),
        (b"\0\x05\x04\x1b[2J", None),
    ],
)
def test_negotiated_protocol_is_read_where_it_makes_sense(content: bytes, alpn: str | None) -> None:
    hello = read_server_hello(server_hello(extensions=[extension(16, content)]))

    assert hello.alpn == alpn
