"""Asks one of the host's own listeners which versions of TLS it offers, and its certificate.

In: address and port of a listener. Out: one ``ProbeResult`` per version, or a single one that says
why there are none. Plain services are disturbed by one connection only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Final, Literal

from agent.decode.cipher_suites import CIPHER_SUITES
from agent.decode.client_hello import RandomBytes, build_client_hello
from agent.decode.tls import TlsVersion
from agent.decode.x509 import CertificateFacts, read_certificate
from agent.errors import DecodeError
from agent.sensors.tls_exchange import Endpoint, Exchange, OnConnection, OwnListener

VERSIONS: Final[tuple[TlsVersion, ...]] = ("TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1.0", "SSLv3")
"""What is asked for, in this order."""

Outcome = Literal["offered", "refused", "untested", "not_tls"]
Unseen = Literal["encrypted", "not_sent", "incomplete", "unreadable"]

# Where to ask a listener that is bound to any address. IPv6 may be off at loopback, and a listener
# of both families still answers there.
_TARGETS: Final = {"0.0.0.0": ("127.0.0.1",), "::": ("::1", "127.0.0.1")}  # noqa: S104

# Alerts by which servers refuse a version, or every suite they could use with it.
_REFUSALS: Final = frozenset(
    {
        "close_notify",
        "handshake_failure",
        "illegal_parameter",
        "insufficient_security",
        "missing_extension",
        "protocol_version",
    }
)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a listener said to one version of TLS."""

    tls_version: TlsVersion
    outcome: Outcome
    """``untested``: neither offered nor refused; ``not_tls``: it speaks something else."""
    reason: str
    """Why it was not offered: an alert, ``closed``, ``silent``, ``no_tls``, ``older_version``, or
    why it could not be reached; empty if offered."""
    asking: Endpoint | None
    """The agent's end of the connection that told; None if there was none."""
    answering: Endpoint
    """The listener's end."""
    cipher_code: int | None = None
    cipher_suite: str | None = None
    """IANA name; None where it has none."""
    certificate: CertificateFacts | None = None
    certificate_unseen: Unseen | None = None
    """Why there is no certificate, on offered versions."""


async def probe_listener(
    address: str,
    port: int,
    *,
    timeout_s: float,
    server_name: str | None = None,
    on_connection: OnConnection = lambda _asking, _answering, _cookie: None,
    random_bytes: RandomBytes = os.urandom,
) -> list[ProbeResult]:
    """Ask a listener of this host for each version of TLS, newest first, one at a time.

    If the first answer is no TLS, or there is none, nothing more is asked and the only result is
    ``not_tls``. Where the listener cannot be reached the only result is ``untested``.

    Args:
        address: Where it listens; any address (``0.0.0.0``, ``::``) is asked at loopback.
        port: Its port.
        timeout_s: How long one connection may take; there are six at most.
        server_name: Host name to ask for, where the listener needs one.
        on_connection: Called before each connection with both its ends and its cookie, so that
            the agent's own connections are not counted as traffic.
        random_bytes: Where hellos take their random bytes from.
    """
    results: list[ProbeResult] = []
    for target in _TARGETS.get(address, (address,)):
        listener = OwnListener(target, port, timeout_s=timeout_s, on_connection=on_connection)
        results = await _probe(listener, server_name, random_bytes)
        if [result.outcome for result in results] != ["untested"]:
            break
    return results


async def _probe(
    listener: OwnListener, server_name: str | None, random_bytes: RandomBytes
) -> list[ProbeResult]:
    results: dict[TlsVersion, ProbeResult] = {}
    for version in VERSIONS:
        if version in results:
            continue
        hello = build_client_hello(version, random_bytes=random_bytes, server_name=server_name)
        exchange = await listener.ask(hello)
        if not results and exchange.answer.hello is None and exchange.answer.alert is None:
            return [_result_without_tls(version, exchange)]
        results |= {result.tls_version: result for result in judge(version, exchange)}
    offered = [version for version, result in results.items() if result.outcome == "offered"]
    if offered == ["TLSv1.3"]:
        leaf = await listener.handshake(server_name)
        certificate, unseen = _describe(leaf, otherwise="encrypted")
        results["TLSv1.3"] = replace(
            results["TLSv1.3"], certificate=certificate, certificate_unseen=unseen
        )
    return [results[version] for version in VERSIONS]


def judge(asked: TlsVersion, exchange: Exchange) -> list[ProbeResult]:
    """Return what one exchange says about the version asked for, and about older ones.

    A server that answers with an older version has none of those in between.
    """
    hello = exchange.answer.hello
    if hello is None:
        outcome, reason = _refusal(exchange)
        return [_result(asked, outcome, reason, exchange)]
    not_newer = VERSIONS[VERSIONS.index(asked) :]
    if hello.tls_version not in not_newer:
        return [_result(asked, "untested", "no_tls", exchange)]
    skipped = not_newer[: not_newer.index(hello.tls_version)]
    refused = [_result(version, "refused", "older_version", exchange) for version in skipped]
    return [*refused, _offer(hello.tls_version, hello.cipher_code, exchange)]


def _result_without_tls(version: TlsVersion, exchange: Exchange) -> ProbeResult:
    if exchange.end == "unreachable":
        return _result(version, "untested", exchange.detail, exchange)
    return _result(version, "not_tls", exchange.end, exchange)


def _refusal(exchange: Exchange) -> tuple[Outcome, str]:
    alert = exchange.answer.alert
    if alert is not None:
        return ("refused" if alert.name in _REFUSALS else "untested"), alert.name
    if exchange.end == "closed":  # some servers hang up without a word
        return "refused", "closed"
    return "untested", exchange.detail if exchange.end == "unreachable" else exchange.end


def _result(version: TlsVersion, outcome: Outcome, reason: str, exchange: Exchange) -> ProbeResult:
    return ProbeResult(version, outcome, reason, exchange.asking, exchange.answering)


def _offer(version: TlsVersion, cipher_code: int, exchange: Exchange) -> ProbeResult:
    otherwise: Unseen = "incomplete"
    if version == "TLSv1.3":
        otherwise = "encrypted"
    elif exchange.end == "complete":
        otherwise = "not_sent"
    elif exchange.end == "no_tls":
        otherwise = "unreadable"
    certificate, unseen = _describe(exchange.answer.leaf, otherwise=otherwise)
    return ProbeResult(
        tls_version=version,
        outcome="offered",
        reason="",
        asking=exchange.asking,
        answering=exchange.answering,
        cipher_code=cipher_code,
        cipher_suite=CIPHER_SUITES.get(cipher_code),
        certificate=certificate,
        certificate_unseen=unseen,
    )


def _describe(
    leaf: bytes | None, *, otherwise: Unseen
) -> tuple[CertificateFacts | None, Unseen | None]:
    if leaf is None:
        return None, otherwise
    try:
        return read_certificate(leaf), None
    except DecodeError:
        return None, "unreadable"
