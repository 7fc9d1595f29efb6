"""The telemetry kinds: every column declared once, typed, described, with unit and closed values.

Agent, analyzer, rule grammar, wire format and documentation are all made from this table.
Names follow osquery; a unit ends a name (``_us`` = microseconds, ``_s`` = seconds).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from rules.telemetry.fact_kinds import FACT_KINDS
from rules.telemetry.kind import (
    INT64_MAX,
    INT64_MIN,
    PORT_MAX,
    PROCESS_COLUMNS,
    SOURCE,
    Column,
    ColumnType,
    Kind,
    address,
    boolean,
    code,
    integer,
    port,
    text,
)
from rules.telemetry.scope import SCOPES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AWS_CALL",
    "CONNECTION",
    "DNS_ANSWER",
    "IMDS_REQUEST",
    "INT64_MAX",
    "INT64_MIN",
    "KINDS",
    "LISTENER",
    "PORT_MAX",
    "PROCESS",
    "PROCESS_COLUMNS",
    "SENSOR_STATES",
    "TLS_SESSION",
    "Column",
    "ColumnType",
    "Kind",
]

_DIRECTION = code("direction", "Who opened it: this host (outbound) or a peer.", "outbound|inbound")
_PROTOCOL = code("protocol", "Transport protocol.", "tcp|udp")
_LOCAL_ADDRESS = address("local_address", "Address on this host.")
_LOCAL_PORT = port("local_port", "Port on this host.")
_REMOTE_ADDRESS = address("remote_address", "Address of the peer.")
_REMOTE_PORT = port("remote_port", "Port of the peer.")
_LOCAL_SCOPE = Column(
    "local_scope", ColumnType.CODE, "How far local_address reaches.", SCOPES, derived=True
)
_REMOTE_SCOPE = Column(
    "remote_scope", ColumnType.CODE, "How far remote_address reaches.", SCOPES, derived=True
)
_ATTRIBUTION = code(
    "attribution",
    "How the process is known: from the kernel event itself (exact), as owner of the listener, "
    "by polling, or not at all.",
    "exact|listener|polled|unknown",
)
_TLS_VERSIONS = "SSLv2|SSLv3|TLSv1.0|TLSv1.1|TLSv1.2|TLSv1.3|DTLSv1.0|DTLSv1.2|DTLSv1.3"
_APP_PROTOCOLS = (
    "http|ftp|telnet|smtp|pop3|imap|irc|ldap|snmp|rlogin|rsh|rexec|redis|mysql|postgresql|mongodb"
    "|memcached|nntp|xmpp|tls|ssh|dns"
)

CONNECTION: Final = Kind(
    "connection",
    "A TCP connection or UDP flow of this host: one row when it opens, one when it closes.",
    "ProctorConnection",
    (
        _DIRECTION,
        _PROTOCOL,
        _LOCAL_ADDRESS,
        _LOCAL_PORT,
        _REMOTE_ADDRESS,
        _REMOTE_PORT,
        _REMOTE_SCOPE,
        code("state", "Which end of its life the row reports.", "opened|closed"),
        integer("duration_us", "Life of a closed connection, microseconds."),
        integer("bytes_sent", "Payload bytes sent by this host, on the closed row."),
        integer("bytes_received", "Payload bytes received by this host, on the closed row."),
        code("app_protocol", "Application protocol recognised from payload.", _APP_PROTOCOLS),
        _ATTRIBUTION,
        SOURCE,
    ),
)
LISTENER: Final = Kind(
    "listener",
    "A socket of this host that waits for peers.",
    "ProctorListener",
    (
        _PROTOCOL,
        _LOCAL_ADDRESS,
        _LOCAL_PORT,
        _LOCAL_SCOPE,
        code(
            "state",
            "There when collection began (present), appeared, or went away.",
            "present|opened|closed",
        ),
        _ATTRIBUTION,
        SOURCE,
    ),
)
TLS_SESSION: Final = Kind(
    "tls_session",
    "A TLS handshake of this host, seen on the wire or made by probing its own listeners.",
    "ProctorTlsSession",
    (
        _DIRECTION,
        _LOCAL_ADDRESS,
        _LOCAL_PORT,
        _LOCAL_SCOPE,
        _REMOTE_ADDRESS,
        _REMOTE_PORT,
        _REMOTE_SCOPE,
        code("handshake", "How the client's hello ended.", "answered|unanswered|refused"),
        code("tls_version", "Negotiated version; null while unanswered.", _TLS_VERSIONS),
        integer("cipher_code", "Number of the negotiated cipher suite."),
        text("cipher_suite", "IANA name of the cipher suite, where it has one."),
        text("server_name", "Name that the client asked for (SNI), lower case.", lower=True),
        text("alpn", "Negotiated application protocol."),
        text("ja3", "JA3 fingerprint of the client."),
        text("ja4", "JA4 fingerprint of the client."),
        text("cert_subject", "Subject of the leaf certificate."),
        text("cert_issuer", "Issuer of the leaf certificate."),
        integer("cert_not_before_us", "Start of its validity, UTC microseconds."),
        integer("cert_not_after_us", "End of its validity, UTC microseconds."),
        Column(
            "cert_remaining_s",
            ColumnType.INTEGER,
            "Seconds of validity left at the time of the event; negative once expired.",
            derived=True,
        ),
        boolean("cert_self_signed", "Whether subject equals issuer on the leaf."),
        text("cert_key_type", "Key algorithm of the leaf."),
        integer("cert_key_bits", "Key size of the leaf, bits."),
        text("cert_signature", "Signature algorithm of the leaf."),
        code(
            "cert_unseen",
            "Why the certificate columns are null.",
            "encrypted|not_sent|resumed|incomplete|unreadable",
        ),
        _ATTRIBUTION,
        SOURCE,
    ),
)
AWS_CALL: Final = Kind(
    "aws_call",
    "A connection of this host to an AWS service endpoint.",
    "ProctorAwsCall",
    (
        text("service", "AWS service, as in its endpoint prefix."),
        text("region", "AWS region."),
        text("partition", "AWS partition."),
        text("endpoint", "Host name of the endpoint, lower case.", lower=True),
        boolean("encrypted", "Whether the call went over TLS."),
        code(
            "variant",
            "Kind of endpoint.",
            "standard|fips|dualstack|fips_dualstack|vpce|vpce_inferred",
        ),
        _REMOTE_ADDRESS,
        _REMOTE_PORT,
        _REMOTE_SCOPE,
        _ATTRIBUTION,
        SOURCE,
    ),
)
IMDS_REQUEST: Final = Kind(
    "imds_request",
    "An HTTP request of this host to the instance metadata service.",
    "ProctorImdsRequest",
    (
        integer("imds_version", "1 = without session token, 2 = with one.", numbers=(1, 2)),
        code("purpose", "What was asked for.", "token|credentials|identity|other"),
        _REMOTE_ADDRESS,
        _ATTRIBUTION,
        SOURCE,
    ),
)
DNS_ANSWER: Final = Kind(
    "dns_answer",
    "One answer record that a name server gave to this host.",
    "InspectorDnsEntry",
    (
        text("name", "Name that was asked for, lower case.", lower=True),
        text("type", "Record type, such as A or AAAA."),
        address("address", "Address in the answer, where it has one."),
        integer("ttl_s", "Time to live, seconds."),
        _ATTRIBUTION,
        SOURCE,
    ),
)
PROCESS: Final = Kind(
    "process",
    "A process that started or exited.",
    "ProctorProcess",
    (
        code("state", "What happened.", "started|exited"),
        integer("argument_count", "Number of command line arguments."),
        text("arguments", "Command line; only where the operator allows it."),
        SOURCE,
    ),
)
KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            CONNECTION,
            LISTENER,
            TLS_SESSION,
            AWS_CALL,
            IMDS_REQUEST,
            DNS_ANSWER,
            PROCESS,
            *FACT_KINDS,
        )
    }
)
SENSOR_STATES: Final = ("on", "degraded", "off")
