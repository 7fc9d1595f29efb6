"""Patterns: forty mixed detections that the fleet's telemetry is judged by.

In: nothing. Out: plain detections by rule id, as rule files state them: 26 on single events, 8 on
windows, 2 on absence, 4 on sequences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.fleet import names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Plain = dict[str, Any]

PEER: Final = ("process_name", "remote_address", "remote_port")
INSTANCE: Final = ("pid", "process_start_us", "process_name")
OUTBOUND: Final = {"direction": "outbound"}
LOOPBACK: Final = {"remote_scope": "loopback"}
METADATA: Final = "169.254.169.254"
TEMPORARY: Final = ("/dev/shm/", "/tmp/", "/var/tmp/")  # noqa: S108 (what rules look for)
_WEEK_S: Final = 604_800


def event(
    telemetry: str,
    where: Mapping[str, Any],
    *,
    group_by: Sequence[str] = PEER,
    any_of: Sequence[Plain] = (),
    none_of: Sequence[Plain] = (),
) -> Plain:
    """Return a detection on single events."""
    select = selector(telemetry, where, any_of=any_of, none_of=none_of)
    return {"kind": "event", "select": select, "group_by": list(group_by)}


def threshold(
    telemetry: str,
    where: Mapping[str, Any],
    *,
    within: str,
    group_by: Sequence[str] = INSTANCE,
    **measure: Plain,
) -> Plain:
    """Return a detection on sliding windows; ``measure`` is count, distinct or sum."""
    select = selector(telemetry, where)
    shared = {"kind": "threshold", "select": select, "group_by": list(group_by)}
    return {**shared, "within": within, **measure}


def absence(where: Mapping[str, Any], *, group_by: Sequence[str] = PEER[:1]) -> Plain:
    """Return a detection of listeners that no peer connects to."""
    return {
        "kind": "absence",
        "select": selector("listener", where, none_of=[{"local_scope": "loopback"}]),
        "unless": selector("connection", {"direction": "inbound"}),
        "match_on": ["local_port"],
        "group_by": [*group_by, "local_port"],
    }


def sequence(
    first: Plain, then: Plain, *, match_on: Sequence[str] = INSTANCE[:2], within: str = "60s"
) -> Plain:
    """Return a detection of one event soon after another."""
    return {
        "kind": "sequence",
        "first": first,
        "then": then,
        "match_on": list(match_on),
        "within": within,
        "group_by": ["process_name"],
    }


def selector(
    telemetry: str,
    where: Mapping[str, Any],
    *,
    any_of: Sequence[Plain] = (),
    none_of: Sequence[Plain] = (),
) -> Plain:
    """Return a selector without its empty parts."""
    parts = {"where": dict(where), "any_of": list(any_of), "none_of": list(none_of)}
    return {"telemetry": telemetry, **{name: part for name, part in parts.items() if part}}


def started(**where: Any) -> Plain:  # noqa: ANN401 (predicates)
    """Return a selector of processes that start."""
    return selector("process", {"state": "started", **where})


def _to(*ports: int, protocol: str = "tcp") -> Plain:
    return {**OUTBOUND, "protocol": protocol, "remote_port": {"in": list(ports)}}


_CONNECTIONS: Final = {
    "telnet-used": event("connection", _to(23, 2323), none_of=[LOOPBACK]),
    "ftp-used": event("connection", _to(20, 21), none_of=[LOOPBACK]),
    "r-services-used": event("connection", _to(512, 513, 514), none_of=[LOOPBACK]),
    "windows-service-reached": event(
        "connection",
        {"direction": "inbound", "local_port": {"in": [445, 3389]}},
        group_by=("process_name", "local_port"),
    ),
    "weak-udp-service-used": event("connection", _to(69, 161, 1900, protocol="udp")),
    "mail-sent-by-root": event(
        "connection",
        {
            **OUTBOUND,
            "remote_port": 25,
            "user": "root",
            "process_name": {"not_in": [*names.MAILERS, *names.SERVERS]},
        },
    ),
    "netcat-used": event(
        "connection", {**OUTBOUND, "process_name": {"in": ["nc", "ncat", "socat"]}}
    ),
    "deleted-program-connects": event(
        "connection",
        {"process_path": {"ends_with": " (deleted)"}},
        group_by=("process_path", "remote_address"),
    ),
    "temporary-program-connects": event(
        "connection",
        {},
        any_of=[{"process_path": {"starts_with": folder}} for folder in TEMPORARY],
        group_by=("process_path", "remote_address"),
    ),
    "large-upload": event(
        "connection",
        {"state": "closed", "bytes_sent": {"gt": 300_000_000}, "remote_scope": "public"},
    ),
    "root-to-backdoor-port": event(
        "connection", {"user": "root", "remote_port": {"in": list(names.BACKDOOR_PORTS)}}
    ),
    "clear-text-to-public": event(
        "connection",
        {"app_protocol": {"in": ["telnet", "ftp", "pop3", "imap"]}, "remote_scope": "public"},
    ),
    "temporary-program-reads-metadata": event(
        "connection",
        {"remote_address": METADATA, "process_path": {"starts_with": "/dev/shm/"}},  # noqa: S108
    ),
}
_SESSIONS: Final = {
    "old-tls-used": event(
        "tls_session",
        {**OUTBOUND, "tls_version": {"in": list(names.OLD_TLS)}},
        none_of=[LOOPBACK],
        group_by=(*PEER, "tls_version"),
    ),
    "weak-cipher-used": event(
        "tls_session",
        {},
        any_of=[{"cipher_suite": name} for _, name in names.WEAK_CIPHERS],
        group_by=("cipher_suite", "server_name"),
    ),
    "self-signed-in-production": event(
        "tls_session",
        {"cert_self_signed": True, "server_name": {"ends_with": ".prod.example.com"}},
        group_by=("server_name",),
    ),
    "odd-server-name": event(
        "tls_session", {"server_name": {"ends_with": ".weird.test"}}, group_by=("server_name",)
    ),
    "certificate-ends-soon": event(
        "tls_session",
        {"cert_remaining_s": {"ge": 0, "lt": _WEEK_S}},
        group_by=("server_name", "cert_issuer"),
    ),
    "certificate-ended": event(
        "tls_session", {"cert_remaining_s": {"lt": 0}}, group_by=("server_name", "cert_issuer")
    ),
    "short-rsa-key": event(
        "tls_session",
        {"cert_key_type": "rsa", "cert_key_bits": {"lt": 2_048}},
        group_by=("server_name",),
    ),
}
_REQUESTS: Final = {
    "aws-call-in-clear-text": event(
        "aws_call", {"encrypted": False}, group_by=("process_name", "service", "region")
    ),
    "identity-call-to-far-region": event(
        "aws_call",
        {"region": {"not_in": list(names.REGIONS)}, "service": {"in": ["iam", "sts"]}},
        group_by=("process_name", "service", "region"),
    ),
    "closed-partition-called": event(
        "aws_call",
        {"partition": {"in": ["aws-us-gov", "aws-cn"]}},
        group_by=("process_name", "partition"),
    ),
    "closed-region-without-fips": event(
        "aws_call",
        {"region": {"starts_with": "us-gov-"}, "variant": {"ne": "fips"}},
        group_by=("process_name", "endpoint"),
    ),
    "credentials-without-session": event(
        "imds_request",
        {"imds_version": 1, "purpose": "credentials"},
        group_by=("process_name",),
    ),
    "temporary-program-starts": event(
        "process",
        {"state": "started"},
        any_of=[{"process_path": {"starts_with": folder}} for folder in TEMPORARY],
        group_by=("process_path", "user"),
    ),
}
_WINDOWS: Final = {
    "connection-flood": threshold(
        "connection", {"state": "opened"}, within="5m", count={"gt": 1_500}
    ),
    "port-scan": threshold(
        "connection", OUTBOUND, within="60s", distinct={"column": "remote_port", "gt": 50}
    ),
    "host-scan": threshold(
        "connection", OUTBOUND, within="60s", distinct={"column": "remote_address", "gt": 100}
    ),
    "host-uploads": threshold(
        "connection",
        {"state": "closed", "remote_scope": "public"},
        within="1h",
        group_by=(),
        sum={"column": "bytes_sent", "gt": 3_000_000_000},
    ),
    "process-uploads": threshold(
        "connection", {}, within="1h", sum={"column": "bytes_sent", "gt": 2_500_000_000}
    ),
    "name-server-flood": threshold(
        "connection", {"remote_port": 53}, within="60s", group_by=(), count={"gt": 2_000}
    ),
    "self-signed-storm": threshold(
        "tls_session", {"cert_self_signed": True}, within="5m", group_by=(), count={"gt": 6}
    ),
    "metadata-without-session": threshold(
        "imds_request",
        {"imds_version": 1},
        within="5m",
        group_by=("process_name",),
        count={"gt": 20},
    ),
}
_ABSENCES: Final = {
    "unused-tcp-port": absence({"protocol": "tcp"}),
    "unused-port-of-root": absence({"user": "root"}, group_by=("process_name", "protocol")),
}
_SEQUENCES: Final = {
    "download-tool-calls-out": sequence(
        started(process_name={"in": ["curl", "wget"]}),
        selector("connection", {**OUTBOUND, "remote_scope": "public"}),
    ),
    "temporary-program-calls-out": sequence(
        started(process_path={"starts_with": "/dev/shm/"}),  # noqa: S108
        selector("connection", {"remote_port": {"in": list(names.BACKDOOR_PORTS)}}),
        match_on=("process_path",),
    ),
    "credentials-then-identity-call": sequence(
        selector("imds_request", {"purpose": "credentials"}),
        selector("aws_call", {"service": {"in": ["sts", "iam"]}}),
        within="5m",
    ),
    "called-back": sequence(
        selector("connection", {**OUTBOUND, "remote_port": {"in": list(names.BACKDOOR_PORTS)}}),
        selector("connection", {"direction": "inbound"}),
        match_on=("remote_address",),
        within="5m",
    ),
}
PATTERNS: Final[Mapping[str, Plain]] = {
    **_CONNECTIONS,
    **_SESSIONS,
    **_REQUESTS,
    **_WINDOWS,
    **_ABSENCES,
    **_SEQUENCES,
}
"""The detections by rule id."""
