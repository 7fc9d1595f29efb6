"""Protocols by how conversations begin, as real servers and clients write them."""

import struct

import pytest

from agent.decode.opening import HEAD_BYTES, Opening
from agent.decode.protocols import recognise, recognise_datagram

LDAP_BIND = bytes.fromhex("300c020101600702010304008000")
LDAP_SEARCH = bytes.fromhex(
    "3025020102632004000a01000a0100020100020100010100870b6f626a656374436c617373300 0".replace(
        " ", ""
    )
)
LDAP_STARTTLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + b"1.3.6.1.4.1.1466.20037"
SNMP_V2 = bytes.fromhex(
    "302602010104067075626c6963a019020101020100020100300e300c06082b060102010101000500"
)
MYSQL = b"\x4a\0\0\0\x0a8.0.36\0" + bytes(20)
MARIADB = b"\x6a\0\0\0\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0" + bytes(20)
POSTGRES = struct.pack(">II", 41, 196_608) + b"user\0app\0database\0shop\0\0"
POSTGRES_TLS = struct.pack(">II", 8, 80_877_103)
MONGO = struct.pack("<iiii", 64, 1, 0, 2_013) + bytes(48)
XMPP = b"<?xml version='1.0'?><stream:stream to='x' xmlns='jabber:client' xmlns:stream='http://'>"

CONVERSATIONS = [
    ("http", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b""),
    ("http", b"PROPFIND /dav HTTP/1.1\r\n", b""),
    ("http", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""),
    ("http", b"", b"HTTP/1.0 200 OK\r\n"),
    ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n", b""),
    ("ssh", b"", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
    ("telnet", b"", b"\xff\xfd\x18\xff\xfd\x20"),
    ("telnet", b"\xff\xfb\x18", b""),
    ("smtp", b"", b"220 mail.example.test ESMTP Postfix\r\n"),
    ("smtp", b"EHLO me\r\n", b"220 mail.example.test\r\n"),
    ("smtp", b"helo me\r\n", b"220-mail\r\n220 go\r\n"),
    ("ftp", b"", b"220 (vsFTPd 3.0.3)\r\n"),
    ("ftp", b"", b"220---------- Welcome to Pure-FTPd ----------\r\n"),
    ("ftp", b"USER anonymous\r\n", b"220 ready\r\n"),
    ("ftp", b"AUTH TLS\r\n", b"220 ready\r\n"),
    ("pop3", b"", b"+OK Dovecot ready.\r\n"),
    ("pop3", b"CAPA\r\n", b"+OK ready\r\n"),
    ("imap", b"", b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n"),
    ("imap", b"a1 LOGIN me pw\r\n", b"* PREAUTH welcome\r\n"),
    ("nntp", b"", b"200 news.example.test InterNetNews server ready\r\n"),
    ("nntp", b"MODE READER\r\n", b"201 hello\r\n"),
    ("irc", b"NICK me\r\nUSER me 0 * :Me\r\n", b""),
    ("irc", b"CAP LS 302\r\nPASS x\r\nNICK me\r\n", b":irc NOTICE * :*** Looking up\r\n"),
    ("redis", b"*1\r\n$4\r\nPING\r\n", b""),
    ("redis", b"PING\r\n", b"+PONG\r\n"),
    ("redis", b"get key\r\n", b"$-1\r\n"),
    ("redis", b"INFO\r\n", b"-NOAUTH Authentication required.\r\n"),
    ("memcached", b"stats\r\n", b"STAT pid 1\r\n"),
    ("memcached", b"get key\r\n", b"END\r\n"),
    ("xmpp", XMPP, b""),
    ("rlogin", b"\0alice\0bob\0xterm/38400\0", b"\0"),
    ("rexec", b"1023\0alice\0secret\0ls -l\0", b""),
    ("ldap", LDAP_BIND, b""),
    ("ldap", LDAP_SEARCH, b""),
    ("ldap", LDAP_STARTTLS, b""),
    ("mysql", b"", MYSQL),
    ("mysql", b"", MARIADB),
    ("postgresql", POSTGRES, b""),
    ("postgresql", POSTGRES_TLS, b"N"),
    ("mongodb", MONGO, b""),
]


@pytest.mark.parametrize(("name", "client", "server"), CONVERSATIONS)
def test_protocol_is_recognised(name: str, client: bytes, server: bytes) -> None:
    assert recognise(client, server) == name


def test_client_from_a_reserved_port_speaks_rsh() -> None:
    command = b"1022\0alice\0bob\0uptime\0"

    assert recognise(command, b"", client_port=1_023) == "rsh"
    assert recognise(b"\0alice\0bob\0uptime\0", b"", client_port=1_021) == "rsh"


@pytest.mark.parametrize(
    ("client", "server"),
    [
        (b"", b""),
        (b"GET / RTSP/1.0\r\n", b""),
        (b"GET /", b""),
        (b"", b"220 ready\r\n"),
        (b"", b"200 ready\r\n"),
        (b"get key\r\n", b""),
        (b"hello\r\n", b"hello\r\n"),
        (b"\x05\x01\x00", b"\x05\x00"),
        (b"\0alice\0", b""),
        (b"12\0alice", b""),
        (struct.pack("<iiii", 64, 1, 7, 2_013), b""),
        (struct.pack(">II", 41, 196_608) + b"x", b""),
        (b"", b"\x4a\0\0\1\x0a8.0.36\0"),
        (b"\x30\x0c\x02\x01\x01\x02", b""),
        (bytes(64), bytes(64)),
    ],
)
def test_what_is_not_certain_stays_unnamed(client: bytes, server: bytes) -> None:
    assert recognise(client, server) is None


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (SNMP_V2, "snmp"),
        (SNMP_V2.replace(b"\x02\x01\x01", b"\x02\x01\x00", 1), "snmp"),
        (SNMP_V2.replace(b"\x02\x01\x01", b"\x02\x01\x03", 1), None),
        (SNMP_V2[:13], None),
        (b"", None),
    ],
    ids=["v2", "v1", "v3 is encrypted", "cut", "empty"],
)
def test_snmp_is_recognised_where_it_is_clear(payload: bytes, name: str | None) -> None:
    assert recognise_datagram(payload) == name


def opened(*pieces: tuple[bool, bytes]) -> Opening:
    opening = Opening(40_000)
    for from_client, data in pieces:
        opening.feed(data, from_client=from_client)
    return opening


@pytest.mark.parametrize(("name", "client", "server"), CONVERSATIONS)
def test_opening_is_recognised_byte_by_byte(name: str, client: bytes, server: bytes) -> None:
    """Clients and servers are recognised as soon as enough of them is there, however it comes."""
    opening = Opening(40_000)
    for data, from_client in ((server[:10], False), (server[10:], False), (client, True)):
        if data:
            opening.feed(data, from_client=from_client)

    assert opening.app_protocol == name


def test_host_is_waited_for() -> None:
    first = (True, b"GET / HTTP/1.1\r\nAccept: */*\r\n")
    waiting = opened(first)
    assert (waiting.app_protocol, waiting.is_over) == ("http", False)

    whole = opened(first, (True, b"Host: WWW.Example.test:8080\r\n"))
    assert (whole.host, whole.is_over) == ("www.example.test", True)


@pytest.mark.parametrize(
    "rest", [b"\r\n", b"X: " + b"x" * HEAD_BYTES], ids=["no host", "endless head"]
)
def test_head_without_a_host_is_over_at_its_end(rest: bytes) -> None:
    opening = opened((True, b"GET / HTTP/1.0\r\n"), (True, rest))

    assert (opening.host, opening.is_over) == (None, True)


def test_unknown_protocol_is_given_up() -> None:
    opening = opened(*[(bool(number % 2), b"?") for number in range(30)])

    assert (opening.app_protocol, opening.is_over, opening.may_become_tls) == (None, True, True)


@pytest.mark.parametrize(
    ("client", "server", "may"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"", False),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", b"", True),
        (b"EHLO me\r\n", b"220 a ESMTP\r\n", True),
        (b"", b"SSH-2.0-x", False),
        (POSTGRES_TLS, b"", True),
    ],
)
def test_some_protocols_may_become_tls(client: bytes, server: bytes, *, may: bool) -> None:
    opening = opened((False, server), (True, client))

    assert opening.may_become_tls is may
