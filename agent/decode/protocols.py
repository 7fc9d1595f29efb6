"""Application protocols, recognised by how a conversation begins, on any port.

In: the first bytes of both directions. Out: the protocol's name as telemetry states it, or None.
A port is asked only where two protocols begin alike. What is not certain stays unnamed.
Source: RFC 9112, 5321, 959, 1939, 9051, 3977, 854, 1282, 2812, 4511, 3416, 6120, 4253; the wire
protocols of Redis, MySQL, PostgreSQL, MongoDB and memcached; rshd(8), rexecd(8).
"""

from __future__ import annotations

import re
from struct import Struct
from typing import Final

# What one side begins with is enough; each group is named after its protocol.
_BY_CLIENT: Final = re.compile(
    rb"""
    (?P<http>[A-Z]{3,16}[ ][^\s]+[ ]HTTP/1\.[01]\r?\n | PRI[ ]\*[ ]HTTP/2\.0\r\n)
    | (?P<ssh>SSH-[12]\.\d+-)
    | (?P<telnet>\xff[\xfb-\xfe][\x00-\x31])
    | (?P<irc>(?:(?:CAP[ ](?:LS|REQ)|PASS[ ])[^\r\n]*\r?\n)*
        (?:NICK[ ][^\s]+\r?\n|USER[ ][^\s]+[ ][^\s]+[ ][^\s]+[ ]:?[^\r\n]*\r?\n))
    | (?P<redis>\*[1-9]\d{0,5}\r\n\$[1-9]\d{0,8}\r\n[A-Za-z])
    | (?P<xmpp>\s*(?:<\?xml[^>]{0,80}\?>\s*)?<stream:stream[^>]*jabber:)
    | (?P<rlogin>\0[\w.@-]{1,32}\0[\w.@-]{1,32}\0[\w.+-]{1,40}/\d{1,6}\0)
    | (?P<ldap>\x30(?s:[\x00-\x7f]|\x81.|\x82..|\x83...|\x84....)
        \x02(?s:\x01.|\x02..|\x03...|\x04....)[\x60\x63\x66\x68\x4a\x6c\x6e\x77\x42])
    """,
    re.VERBOSE,
)
_BY_SERVER: Final = re.compile(
    rb"""
    (?P<http>HTTP/1\.[01][ ][1-5]\d\d[ \r])
    | (?P<ssh>SSH-[12]\.\d+-)
    | (?P<telnet>\xff[\xfb-\xfe][\x00-\x31])
    | (?P<imap>\*[ ](?:OK|PREAUTH|BYE)[ \r])
    | (?P<mysql>(?s:..)\0\0\x0a\d+\.[\x20-\x7e]{1,60}\0)
    """,
    re.VERBOSE,
)


def _text(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.IGNORECASE)


# Where one side is not enough: name, what the client's and what the server's bytes begin with.
# The first that matches counts. A client that has said nothing yet is empty.
_GREETING: Final = re.compile(rb"220[ -]|20[01][ -]|\+OK[ \r]")
_SILENT: Final = re.compile(rb"\Z")
_Pair = tuple[str, re.Pattern[bytes], re.Pattern[bytes]]
_GREETED: Final[tuple[_Pair, ...]] = (
    ("smtp", _text(rb"(EHLO|HELO|LHLO)[ \r]"), re.compile(rb"220")),
    ("ftp", _text(rb"(USER|AUTH|FEAT|SYST|OPTS|HOST|ACCT|PASV)[ \r]"), re.compile(rb"220")),
    ("smtp", _SILENT, _text(rb"220[ -][^\r\n]*\b(E?SMTP|LMTP)\b")),
    ("ftp", _SILENT, _text(rb"220[ -][\x20-\x7e\s]*FTP")),
    ("nntp", _SILENT, _text(rb"20[01][ -][^\r\n]*(NNTP|InterNetNews|Usenet)")),
    (
        "nntp",
        _text(rb"(MODE READER|CAPABILITIES|GROUP |LIST[ \r]|AUTHINFO |XOVER |ARTICLE )"),
        re.compile(rb"20[01]"),
    ),
    ("pop3", _text(rb"(\Z|(USER|APOP|CAPA|AUTH|STLS|QUIT)[ \r])"), re.compile(rb"\+OK")),
)
_ANSWERED: Final[tuple[_Pair, ...]] = (
    (
        "redis",
        _text(rb"(PING|AUTH|INFO|SELECT|HELLO|COMMAND|CONFIG|KEYS|GET|SET|CLIENT|MONITOR)[ \r]"),
        re.compile(rb"(\+(PONG|OK)\r\n|-(ERR|NOAUTH|WRONGPASS|DENIED) |[$*:%]-?\d+\r\n)"),
    ),
    (
        "memcached",
        re.compile(rb"(gets?|gat|set|add|stats|version|delete|incr|touch|mg|ms)[ \r]"),
        re.compile(rb"(VALUE |END\r\n|STORED\r\n|STAT |VERSION |NOT_FOUND\r\n|ERROR\r\n|EN\r\n)"),
    ),
)

_REMOTE_COMMAND: Final = re.compile(rb"\d{0,5}\0[\w.@-]{1,32}\0([\x21-\x7e]{1,64})\0[\x20-\x7e]+\0")
_RESERVED_PORTS: Final = range(512, 1_024)  # rsh trusts clients by them

_SNMP: Final = re.compile(
    rb"\x30(?:[\x00-\x7f]|\x81.|\x82..)\x02\x01[\x00\x01]\x04([\x00-\x7f])", re.DOTALL
)
_SNMP_REQUESTS: Final = range(0xA0, 0xA9)

_MONGO_HEADER: Final = Struct("<iiii")
_MONGO_BYTES_MAX: Final = 48_000_000
_MONGO_CODES: Final = frozenset({2_004, 2_012, 2_013})
_POSTGRES_START: Final = b"\0\3\0\0"
_POSTGRES_REQUESTS: Final = frozenset(
    code.to_bytes(4, "big") for code in (80_877_102, 80_877_103, 80_877_104)
)

UPGRADABLE: Final = frozenset(
    {"smtp", "imap", "pop3", "ftp", "nntp", "irc", "xmpp", "ldap", "mysql", "postgresql"}
)
"""Protocols that may go over to TLS in the middle of a connection."""


def recognise(
    client: bytes, server: bytes, *, client_port: int = 0, is_answer: bool = False
) -> str | None:
    """Return the protocol of a TCP connection; None while it is not certain.

    Args:
        client: The first bytes of the client, as many as there are.
        server: The first bytes of the server.
        client_port: Port of the client; it tells rsh from rexec.
        is_answer: Whether only the server's bytes are new: of the client's alone, it was not
            certain before.
    """
    found = (None if is_answer else _BY_CLIENT.match(client)) or _BY_SERVER.match(server)
    if found is not None:
        return found.lastgroup
    if _GREETING.match(server):
        return _of_pairs(_GREETED, client, server)
    name = None if is_answer else _by_client(client, client_port)
    if name is None and client and server:
        return _of_pairs(_ANSWERED, client, server)
    return name


def recognise_datagram(payload: bytes) -> str | None:
    """Return the protocol of a UDP datagram in clear text: SNMP v1 or v2, else None."""
    found = _SNMP.match(payload)
    if found is None:
        return None
    place = found.end() + found[1][0]
    return "snmp" if place < len(payload) and payload[place] in _SNMP_REQUESTS else None


def _of_pairs(pairs: tuple[_Pair, ...], client: bytes, server: bytes) -> str | None:
    for name, by_client, by_server in pairs:
        if by_client.match(client) and by_server.match(server):
            return name
    return None


def _by_client(client: bytes, port: int) -> str | None:
    if _is_mongodb(client):
        return "mongodb"
    if _is_postgresql(client):
        return "postgresql"
    if _REMOTE_COMMAND.match(client):
        return "rsh" if port in _RESERVED_PORTS else "rexec"
    return None


def _is_mongodb(client: bytes) -> bool:
    if len(client) < _MONGO_HEADER.size:
        return False
    size, _, answers, code = _MONGO_HEADER.unpack_from(client)
    return _MONGO_HEADER.size < size <= _MONGO_BYTES_MAX and answers == 0 and code in _MONGO_CODES


def _is_postgresql(client: bytes) -> bool:
    code = client[4:8]
    if code == _POSTGRES_START:
        return b"user\0" in client[8:]
    return code in _POSTGRES_REQUESTS and int.from_bytes(client[:4], "big") in {8, 16}
