"""What is fuzzed: every decoder of bytes that somebody else wrote, with valid inputs to begin from.

A target takes any bytes. It may refuse them with the errors that its callers catch; everything
else, and anything that takes long, is a fault.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from typing import NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding

from agent.decode.client_offer import read_client_offer
from agent.decode.dns import read_dns
from agent.decode.elf import read_hardening
from agent.decode.handshake import Handshake
from agent.decode.http import RequestReader, imds_columns, read_host
from agent.decode.ja3 import ja3
from agent.decode.ja4 import ja4
from agent.decode.opening import Opening
from agent.decode.packages import read_dpkg_status, read_rpm_header
from agent.decode.packet import Link, Packet, read_ends, read_packet
from agent.decode.password_policy import (
    effective_policy,
    read_login_defs,
    read_module_files,
    read_password_stack,
)
from agent.decode.pcap import read_pcap
from agent.decode.pcapng import PcapngReader
from agent.decode.perf_records import RecordReader
from agent.decode.proc_net import read_sockets
from agent.decode.procfs import (
    read_boot_time_us,
    read_container_id,
    read_effective_uid,
    read_executable,
    read_stat,
)
from agent.decode.protocols import recognise, recognise_datagram
from agent.decode.server_answer import ServerAnswer
from agent.decode.sshd_config import read_sshd_config
from agent.decode.stream import Stream
from agent.decode.tls import read_leaf, read_server_hello
from agent.decode.trace_format import make_layout, read_format
from agent.decode.traffic import Traffic
from agent.decode.x509 import read_certificate
from agent.errors import CaptureFileError, DecodeError
from tests.certificates import make_certificate
from tests.client_hellos import CHROME, client_record
from tests.dns_messages import address, dns
from tests.elf_files import elf
from tests.packets import CLIENT, Talk, ethernet, pcap, pcapng, udp
from tests.perf_messages import RECORDED, tracepoints
from tests.tls_messages import certificate_message, message, record, server_hello, tls13_hello

_LINKS = list(Link)
_TALK = Talk().open().say(client_record(CHROME)).answer(record(message(2, tls13_hello()))).close()
_DNS = dns("www.example.test", [address("192.0.2.7"), address("2001:db8::7")])
_REQUEST = b"PUT /latest/api/token HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"
_RPM = struct.pack(">II", 1, 2) + struct.pack(">IIiI", 1_000, 6, 0, 1) + b"a\0"
_ANSWER = record(message(2, server_hello()) + message(11, certificate_message([b"leaf"])))


class Target(NamedTuple):
    """One decoder."""

    run: Callable[[bytes], None]
    seeds: Sequence[bytes] = ()


def _capture_file(data: bytes) -> None:
    for frames in (read_pcap(BytesIO(data)), PcapngReader(BytesIO(data)).frames()):
        with suppress(CaptureFileError):
            for frame in frames:
                assert len(frame.data) <= len(data)


def _certificate(data: bytes) -> None:
    read_certificate(data)


def _client_offer(data: bytes) -> None:
    offer = read_client_offer(data)
    assert len(ja3(offer.profile)) == 32
    assert len(ja4(offer.profile)) == 36


def _dns(data: bytes) -> None:
    assert read_dns(data).name.isprintable()


def _elf(data: bytes) -> None:
    read_hardening(lambda offset, size: data[offset : offset + size])


def _handshake(data: bytes) -> None:
    handshake = Handshake()
    for is_client, piece in _pieces(data):
        (handshake.feed_client if is_client else handshake.feed_server)(piece)
    handshake.columns()


def _http(data: bytes) -> None:
    read_host(data)
    reader = RequestReader()
    for at in range(0, len(data), 97):
        for request in reader.feed(data[at : at + 97]):
            imds_columns(request)


def _opening(data: bytes) -> None:
    opening = Opening(1_023)
    for is_client, piece in _pieces(data):
        opening.feed(piece, from_client=is_client)
    recognise_datagram(data)
    recognise(data, b"")
    recognise(b"", data)


def _packages(data: bytes) -> None:
    read_rpm_header(data)
    for package in read_dpkg_status(_text(data).split("\n")):
        assert package.name is not None


def _packet(data: bytes) -> None:
    if data:
        packet = read_packet(data[1:], _LINKS[data[0] % len(_LINKS)])
        if isinstance(packet, Packet):
            read_ends(packet.ends)
            assert len(packet.payload) <= packet.payload_bytes


def _password_policy(data: bytes) -> None:
    """Let every file of PAM, and those of its modules, be the same."""
    text = _text(data)
    read_login_defs(text)
    numbers = read_module_files([text])
    stack = read_password_stack("passwd", lambda _: text)
    effective_policy(stack, quality=numbers, history=numbers)


def _perf_records(data: bytes) -> None:
    reader = RecordReader(*tracepoints())
    assert len(reader.read(data)) <= len(data) // 8


def _procfs(data: bytes) -> None:
    read_container_id(data)
    read_executable(data)
    for read in (read_stat, read_effective_uid, read_boot_time_us):
        with suppress(DecodeError):
            read(data)


def _proc_net(data: bytes) -> None:
    with suppress(DecodeError):
        read_sockets(b"heading\n" + data, "tcp")


def _server_answer(data: bytes) -> None:
    for read in (read_server_hello, read_leaf):
        with suppress(DecodeError):
            read(data)
    answer = ServerAnswer()
    for at in range(0, len(data), 61):
        answer.feed(data[at : at + 61])


def _sshd_config(data: bytes) -> None:
    """Let the main file include itself."""
    text = _text(data)
    settings = read_sshd_config(text, path="main", read=lambda name: [(name, text)])
    assert len({(each.name, each.condition) for each in settings}) == len(settings)


def _stream(data: bytes) -> None:
    """Send segments of 8 bytes at places that the data says; what comes out stands in order."""
    stream = Stream(0xFFFF_FFF0)
    out = b""
    for at in data:
        segment = bytes(range(at, at + 8)) if at < 248 else b""
        place = (0xFFFF_FFF0 + at) & 0xFFFF_FFFF
        out += b"".join(stream.feed(place, segment, size_bytes=len(segment)))
    assert out == bytes(range(len(out)))


def _trace_format(data: bytes) -> None:
    make_layout(read_format(_text(data)), ("common_type",), head="QIIQI")


def _traffic(data: bytes) -> None:
    """Let packets through that are two bytes of length and the rest, a second apart."""
    traffic = Traffic(max_flows=4, is_live=True)
    place = ts_us = 0
    while place + 2 <= len(data):
        size = int.from_bytes(data[place : place + 2], "big") % 2_048
        traffic.add(data[place + 2 : place + 2 + size], Link.RAW, ts_us)
        place += 2 + size
        ts_us += 1_000_000
    traffic.end(ts_us)
    traffic.drain()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _pieces(data: bytes) -> Iterator[tuple[bool, bytes]]:
    """Yield pieces that are a byte for the side, two for the length, and the rest."""
    place = 0
    while place + 3 <= len(data):
        size = int.from_bytes(data[place + 1 : place + 3], "big") % 2_048
        yield bool(data[place] & 1), data[place + 3 : place + 3 + size]
        place += 3 + size


def _said(client: bytes, server: bytes) -> bytes:
    """Return what both sides said as ``_pieces`` reads it."""
    return b"".join(
        bytes([side]) + len(piece).to_bytes(2, "big") + piece
        for side, piece in ((1, client), (0, server))
    )


TARGETS: dict[str, Target] = {
    "capture_file": Target(
        _capture_file, (pcap(_TALK.packets[:3]), pcapng(_TALK.packets[:3], order=">"))
    ),
    "certificate": Target(_certificate, (make_certificate().public_bytes(Encoding.DER),)),
    "client_offer": Target(_client_offer, (CHROME,)),
    "dns": Target(_dns, (_DNS,)),
    "elf": Target(_elf, (elf(tags={30: 8}), elf(is_64=False, order=">"))),
    "handshake": Target(
        _handshake, (_said(client_record(CHROME), _ANSWER), _said(client_record(), b"\x15\3\3"))
    ),
    "http": Target(_http, (_REQUEST,)),
    "opening": Target(_opening, (_said(_REQUEST, b""), _said(b"EHLO me\r\n", b"220 mail\r\n"))),
    "packages": Target(
        _packages, (b"Package: a\nStatus: install ok installed\nVersion: 1\n\n", _RPM)
    ),
    "packet": Target(_packet, (b"\0" + ethernet(udp(CLIENT, CLIENT, b"x")),)),
    "password_policy": Target(
        _password_policy, (b"password requisite pam_pwquality.so minlen=9\n@include b\n",)
    ),
    "perf_records": Target(_perf_records, (RECORDED.read_bytes()[:4_096],)),
    "proc_net": Target(
        _proc_net, (b" 0: 0100007F:1F90 00000000:0000 0A 0:0 00:0 0 1000 0 41234 1 ff 100\n",)
    ),
    "procfs": Target(_procfs, (b"7 (sh) S 1 7 7 0 -1" + b" 1" * 46, b"Uid:\t1\t2\t3\t4\n")),
    "server_answer": Target(_server_answer, (_ANSWER, server_hello())),
    "sshd_config": Target(_sshd_config, (b"Port 22\nMatch User a\nX11Forwarding no\nInclude b\n",)),
    "stream": Target(_stream, (bytes(range(0, 64, 4)), bytes(range(64, 0, -4)))),
    "trace_format": Target(
        _trace_format, tuple(path.read_bytes() for path in sorted(RECORDED.parent.rglob("format")))
    ),
    "traffic": Target(
        _traffic,
        (b"".join(len(each).to_bytes(2, "big") + each for _, each in _TALK.packets),),
    ),
}
EXPECTED = (DecodeError, CaptureFileError)
