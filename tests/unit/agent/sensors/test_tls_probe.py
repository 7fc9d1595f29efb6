import pytest

from agent.decode.server_answer import ServerAnswer
from agent.decode.tls import TlsVersion
from agent.sensors.tls_exchange import End, Exchange
from agent.sensors.tls_probe import Outcome, ProbeResult, Unseen, judge
from tests.certificates import der_of, make_certificate
from tests.tls_messages import (
    alert,
    certificate_message,
    message,
    record,
    server_hello,
    tls13_hello,
)

ASKING, ANSWERING = ("127.0.0.1", 40_000), ("127.0.0.1", 443)


def exchange(data: bytes = b"", *, end: End = "complete", detail: str = "") -> Exchange:
    answer = ServerAnswer()
    answer.feed(data)
    return Exchange(answer, end, detail, ASKING, ANSWERING)


def verdicts(results: list[ProbeResult]) -> list[tuple[TlsVersion, Outcome, str]]:
    return [(each.tls_version, each.outcome, each.reason) for each in results]


def test_offered_version_has_cipher_and_certificate() -> None:
    leaf = certificate_message([der_of(make_certificate())])
    data = record(message(2, server_hello(cipher=0xC02B)) + message(11, leaf))

    (result,) = judge("TLSv1.2", exchange(data))

    assert (result.tls_version, result.outcome, result.reason) == ("TLSv1.2", "offered", "")
    assert (result.cipher_code, result.certificate_unseen) == (0xC02B, None)
    assert result.cipher_suite == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    assert result.certificate is not None
    assert result.certificate.subject == "CN=service.example"
    assert (result.asking, result.answering) == (ASKING, ANSWERING)


def test_answer_with_an_older_version_refuses_those_between() -> None:
    data = record(message(2, server_hello(0x0301)))

    assert verdicts(judge("TLSv1.3", exchange(data, end="closed"))) == [
        ("TLSv1.3", "refused", "older_version"),
        ("TLSv1.2", "refused", "older_version"),
        ("TLSv1.1", "refused", "older_version"),
        ("TLSv1.0", "offered", ""),
    ]


@pytest.mark.parametrize("version", [0x0304, 0x7F17])
def test_certificate_of_tls13_is_encrypted(version: int) -> None:
    (result,) = judge("TLSv1.3", exchange(record(message(2, tls13_hello(version)))))

    assert (result.outcome, result.certificate_unseen) == ("offered", "encrypted")


@pytest.mark.parametrize(
    ("after", "end", "unseen"),
    [
        (message(14, b""), "complete", "not_sent"),
        (message(11, certificate_message([])), "complete", "not_sent"),
        (b"", "closed", "incomplete"),
        (b"", "silent", "incomplete"),
        (b"", "no_tls", "unreadable"),
        (message(11, certificate_message([b"no certificate"])), "complete", "unreadable"),
    ],
)
def test_certificate_that_is_missing_has_a_reason(after: bytes, end: End, unseen: Unseen) -> None:
    data = record(message(2, server_hello(cipher=0xDEAD)) + after)

    (result,) = judge("TLSv1.2", exchange(data, end=end))

    assert result.certificate is None
    assert result.certificate_unseen == unseen
    assert (result.cipher_code, result.cipher_suite) == (0xDEAD, None)


@pytest.mark.parametrize("hello", [server_hello(0x0303), server_hello(0x0999)])
def test_version_that_was_not_asked_for_tells_nothing(hello: bytes) -> None:
    data = record(message(2, hello) + message(14, b""))

    assert verdicts(judge("TLSv1.1", exchange(data))) == [("TLSv1.1", "untested", "no_tls")]


@pytest.mark.parametrize(
    ("data", "end", "detail", "outcome", "reason"),
    [
        (alert(70), "complete", "", "refused", "protocol_version"),
        (alert(40), "complete", "", "refused", "handshake_failure"),
        (alert(0, level=1), "complete", "", "refused", "close_notify"),
        (alert(80), "complete", "", "untested", "internal_error"),
        (alert(112), "complete", "", "untested", "unrecognized_name"),
        (b"", "closed", "", "refused", "closed"),
        (b"", "silent", "", "untested", "silent"),
        (b"", "no_tls", "type 72", "untested", "no_tls"),
        (b"", "unreachable", "Connection refused", "untested", "Connection refused"),
    ],
)
def test_refused_is_told_from_untested(
    data: bytes, end: End, detail: str, outcome: Outcome, reason: str
) -> None:
    results = judge("TLSv1.0", exchange(data, end=end, detail=detail))

    assert verdicts(results) == [("TLSv1.0", outcome, reason)]
