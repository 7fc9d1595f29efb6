"""The telemetry kinds: every column declared once, typed, described, with unit and closed values.

Agent, analyzer, rule grammar, wire format and documentation are all made from this table.
Names follow osquery; a unit ends a name (``_us`` = microseconds, ``_s`` = seconds).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from rules.telemetry.scope import SCOPES

if TYPE_CHECKING:
    from collections.abc import Mapping

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
PORT_MAX: Final = 65_535


class ColumnType(StrEnum):
    """What a column can hold, beside null."""

    TEXT = "text"
    ADDRESS = "address"  # IPv4 or IPv6 as text, IPv4-mapped written as IPv4
    CODE = "code"  # one of the column's closed values
    PORT = "port"  # 0 to 65535
    INTEGER = "integer"  # signed 64 bit
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a telemetry kind."""

    name: str
    type: ColumnType
    description: str
    closed: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    """Closed values of an integer column; empty = any."""
    derived: bool = False
    """Made once at ingest from other columns; never sent."""
    lower: bool = False
    """Text without case: lowered where it is read."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of telemetry."""

    name: str
    description: str
    message_type: str
    """The name it counts under in telemetry metadata, as Inspector named it."""
    own: tuple[Column, ...]
    """Columns beside time, agent and process."""
    columns: Mapping[str, Column] = field(init=False)
    """Every column that a row may have, by name: process columns first, then its own."""

    def __post_init__(self) -> None:
        """Index the columns by name."""
        both = {column.name: column for column in (*PROCESS_COLUMNS, *self.own)}
        object.__setattr__(self, "columns", MappingProxyType(both))

    @property
    def sent(self) -> tuple[Column, ...]:
        """Return its own columns that travel on the wire: all but the derived ones."""
        return tuple(column for column in self.own if not column.derived)


def _text(name: str, description: str, *, lower: bool = False) -> Column:
    return Column(name, ColumnType.TEXT, description, lower=lower)


def _address(name: str, description: str) -> Column:
    return Column(name, ColumnType.ADDRESS, description)


def _port(name: str, description: str) -> Column:
    return Column(name, ColumnType.PORT, description)


def _integer(name: str, description: str, *, numbers: tuple[int, ...] = ()) -> Column:
    return Column(name, ColumnType.INTEGER, description, numbers=numbers)


def _boolean(name: str, description: str) -> Column:
    return Column(name, ColumnType.BOOLEAN, description)


def _code(name: str, description: str, closed: str) -> Column:
    return Column(name, ColumnType.CODE, description, tuple(closed.split("|")))


PROCESS_COLUMNS: Final = (
    _integer("pid", "Process id (thread group) as the agent sees it."),
    _integer("process_start_us", "When the process started, UTC microseconds."),
    _text("process_name", "Base name of the executable, else the kernel's command name."),
    _text("process_path", "Path of the executable."),
    _integer("parent_pid", "Process id of the parent."),
    _integer("uid", "Numeric owner of the process."),
    _text("user", "Name of the owner, where the host's user table has one."),
    _text("container_id", "Container id, where the process runs in one."),
)

_DIRECTION = _code(
    "direction", "Who opened it: this host (outbound) or a peer.", "outbound|inbound"
)
_PROTOCOL = _code("protocol", "Transport protocol.", "tcp|udp")
_LOCAL_ADDRESS = _address("local_address", "Address on this host.")
_LOCAL_PORT = _port("local_port", "Port on this host.")
_REMOTE_ADDRESS = _address("remote_address", "Address of the peer.")
_REMOTE_PORT = _port("remote_port", "Port of the peer.")
_LOCAL_SCOPE = Column(
    "local_scope", ColumnType.CODE, "How far local_address reaches.", SCOPES, derived=True
)
_REMOTE_SCOPE = Column(
    "remote_scope", ColumnType.CODE, "How far remote_address reaches.", SCOPES, derived=True
)
_ATTRIBUTION = _code(
    "attribution",
    "How the process is known: from the kernel event itself (exact), as owner of the listener, "
    "by polling, or not at all.",
    "exact|listener|polled|unknown",
)
_SOURCE = _code(
    "source",
    "What observed it.",
    "perf|bpf|sock_diag|procfs|psutil|packets|probe|facts|pcap|simulator",
)
_TLS_VERSIONS = "SSLv2|SSLv3|TLSv1.0|TLSv1.1|TLSv1.2|TLSv1.3|DTLSv1.0|DTLSv1.2|DTLSv1.3"
_APP_PROTOCOLS = (
    "http|ftp|telnet|smtp|pop3|imap|irc|ldap|snmp|rlogin|rsh|rexec|redis|mysql|postgresql|mongodb"
    "|memcached|nntp|xmpp|tls|ssh|dns"
)

CONNECTION: Final = Kind(
    "connection",
    "A TCP connection or UDP flow of this host: one row when it opens, one when it closes.",
    "InspectorTcpV4Connection",
    (
        _DIRECTION,
        _PROTOCOL,
        _LOCAL_ADDRESS,
        _LOCAL_PORT,
        _REMOTE_ADDRESS,
        _REMOTE_PORT,
        _REMOTE_SCOPE,
        _code("state", "Which end of its life the row reports.", "opened|closed"),
        _integer("duration_us", "Life of a closed connection, microseconds."),
        _integer("bytes_sent", "Payload bytes sent by this host, on the closed row."),
        _integer("bytes_received", "Payload bytes received by this host, on the closed row."),
        _code("app_protocol", "Application protocol recognised from payload.", _APP_PROTOCOLS),
        _ATTRIBUTION,
        _SOURCE,
    ),
)
LISTENER: Final = Kind(
    "listener",
    "A socket of this host that waits for peers.",
    "InspectorTcpV4ListeningPort",
    (
        _PROTOCOL,
        _LOCAL_ADDRESS,
        _LOCAL_PORT,
        _LOCAL_SCOPE,
        _code(
            "state",
            "There when collection began (present), appeared, or went away.",
            "present|opened|closed",
        ),
        _ATTRIBUTION,
        _SOURCE,
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
        _code("handshake", "How the client's hello ended.", "answered|unanswered|refused"),
        _code("tls_version", "Negotiated version; null while unanswered.", _TLS_VERSIONS),
        _integer("cipher_code", "Number of the negotiated cipher suite."),
        _text("cipher_suite", "IANA name of the cipher suite, where it has one."),
        _text("server_name", "Name that the client asked for (SNI), lower case.", lower=True),
        _text("alpn", "Negotiated application protocol."),
        _text("ja3", "JA3 fingerprint of the client."),
        _text("ja4", "JA4 fingerprint of the client."),
        _text("cert_subject", "Subject of the leaf certificate."),
        _text("cert_issuer", "Issuer of the leaf certificate."),
        _integer("cert_not_before_us", "Start of its validity, UTC microseconds."),
        _integer("cert_not_after_us", "End of its validity, UTC microseconds."),
        Column(
            "cert_remaining_s",
            ColumnType.INTEGER,
            "Seconds of validity left at the time of the event; negative once expired.",
            derived=True,
        ),
        _boolean("cert_self_signed", "Whether subject equals issuer on the leaf."),
        _text("cert_key_type", "Key algorithm of the leaf."),
        _integer("cert_key_bits", "Key size of the leaf, bits."),
        _text("cert_signature", "Signature algorithm of the leaf."),
        _code(
            "cert_unseen",
            "Why the certificate columns are null.",
            "encrypted|not_sent|resumed|incomplete|unreadable",
        ),
        _ATTRIBUTION,
        _SOURCE,
    ),
)
AWS_CALL: Final = Kind(
    "aws_call",
    "A connection of this host to an AWS service endpoint.",
    "ProctorAwsCall",
    (
        _text("service", "AWS service, as in its endpoint prefix."),
        _text("region", "AWS region."),
        _text("partition", "AWS partition."),
        _text("endpoint", "Host name of the endpoint, lower case.", lower=True),
        _boolean("encrypted", "Whether the call went over TLS."),
        _code(
            "variant",
            "Kind of endpoint.",
            "standard|fips|dualstack|fips_dualstack|vpce|vpce_inferred",
        ),
        _REMOTE_ADDRESS,
        _REMOTE_PORT,
        _REMOTE_SCOPE,
        _ATTRIBUTION,
        _SOURCE,
    ),
)
IMDS_REQUEST: Final = Kind(
    "imds_request",
    "An HTTP request of this host to the instance metadata service.",
    "ProctorImdsRequest",
    (
        _integer("imds_version", "1 = without session token, 2 = with one.", numbers=(1, 2)),
        _code("purpose", "What was asked for.", "token|credentials|identity|other"),
        _REMOTE_ADDRESS,
        _ATTRIBUTION,
        _SOURCE,
    ),
)
DNS_ANSWER: Final = Kind(
    "dns_answer",
    "One answer record that a name server gave to this host.",
    "InspectorDnsEntry",
    (
        _text("name", "Name that was asked for, lower case.", lower=True),
        _text("type", "Record type, such as A or AAAA."),
        _address("address", "Address in the answer, where it has one."),
        _integer("ttl_s", "Time to live, seconds."),
        _ATTRIBUTION,
        _SOURCE,
    ),
)
PROCESS: Final = Kind(
    "process",
    "A process that started or exited.",
    "InspectorCreateProcess",
    (
        _code("state", "What happened.", "started|exited"),
        _integer("argument_count", "Number of command line arguments."),
        _text("arguments", "Command line; only where the operator allows it."),
        _SOURCE,
    ),
)
_ELF_COLUMNS = (
    _text("path", "Path of the file."),
    _text("owner", "Name or number of the owner."),
    _text("mode", "Permission bits, octal."),
    _boolean("nx", "Whether its stack is not executable."),
    _boolean("stack_canary", "Whether it was built with stack protectors."),
    _boolean("pie", "Whether it is position independent."),
    _code("relro", "Read-only relocations.", "none|partial|full"),
    _boolean("writable_by_others", "Whether somebody but root may change it or a parent folder."),
    _SOURCE,
)
EXECUTABLE: Final = Kind(
    "executable", "The file of a running executable.", "InspectorCodeModule", _ELF_COLUMNS
)
LOADED_MODULE: Final = Kind(
    "loaded_module",
    "A shared object that a process has loaded.",
    "InspectorDynamicallyLoadedCodeModule",
    _ELF_COLUMNS,
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
            EXECUTABLE,
            LOADED_MODULE,
        )
    }
)
SENSOR_STATES: Final = ("on", "degraded", "off")
