"""Recorded TLS traffic to be decoded, made from a seed: many short HTTPS connections.

In: how many connections. Out: a pcap file of Ethernet frames. Seven packets each: the opening, a
ClientHello, a ServerHello with its certificate (TLS 1.2) or without (1.3), data, the end. Clients
are of four kinds with 13 to 30 ciphers; one of them, like browsers, shuffles its extensions and
puts numbers of RFC 8701 among them. Each asks for one of 5,000 names.
"""

from __future__ import annotations

import datetime as dt
import random
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.decode.packet import ACK, FIN, SYN

PACKETS_EACH = 7
_FIRST_US = 1_700_000_000_000_000
_SERVER_PORT = 443
_CIPHERS = (
    *(0x1302, 0x1303, 0x1301, 0xC02C, 0xC030, 0x009F, 0xCCA9, 0xCCA8, 0xCCAA, 0xC02B),
    *(0xC02F, 0x009E, 0xC024, 0xC028, 0x006B, 0xC023, 0xC027, 0x0067, 0xC00A, 0xC014),
    *(0x0039, 0xC009, 0xC013, 0x0033, 0x009D, 0x009C, 0x003D, 0x003C, 0x0035, 0x002F),
)
_CIPHER_COUNTS = (13, 16, 20, 30)
_BROWSER = 1
_SUPPORTED_VERSION_13 = bytes.fromhex("002b00020304")


def write_capture(path: Path, connections: int, *, seed: int = 7) -> int:
    """Write the capture and return how many packets it holds."""
    rng = random.Random(seed)
    certificate = _certificate()
    packets = 0
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        for number in range(connections):
            for frame in _connection(number, rng, certificate):
                ts_us = _FIRST_US + packets * 50
                seconds, fraction = divmod(ts_us, 1_000_000)
                file.write(struct.pack("<IIII", seconds, fraction, len(frame), len(frame)))
                file.write(frame)
                packets += 1
    return packets


def client_hello(rng: random.Random) -> bytes:
    """Return a ClientHello of one of the kinds of clients."""
    return _hello(rng.randrange(len(_CIPHER_COUNTS)), rng)


def _connection(number: int, rng: random.Random, certificate: bytes) -> Iterator[bytes]:
    is_newest = rng.randrange(4) > 0
    host, port = divmod(number, 28_000)
    client = struct.pack(">BBH", 10, 1 + host, rng.randrange(1, 200)), 32_768 + port
    server = struct.pack(">BBH", 192, 0, 512 + rng.randrange(200)), _SERVER_PORT
    hello = client_hello(rng)
    answer = _answer(rng, None if is_newest else certificate)
    data = b"\x17\x03\x03" + struct.pack(">H", 1_000) + rng.randbytes(1_000)
    ours, theirs = rng.getrandbits(32), rng.getrandbits(32)
    yield _frame(client, server, ours, SYN)
    yield _frame(server, client, theirs, SYN | ACK)
    yield _frame(client, server, ours + 1, ACK, hello)
    yield _frame(server, client, theirs + 1, ACK, answer)
    yield _frame(server, client, theirs + 1 + len(answer), ACK, data)
    yield _frame(client, server, ours + 1 + len(hello), ACK | FIN)
    yield _frame(server, client, theirs + 1 + len(answer) + len(data), ACK | FIN)


def _hello(kind: int, rng: random.Random) -> bytes:
    name = f"host-{rng.randrange(5_000)}.example.test".encode()
    ciphers = list(_CIPHERS[: _CIPHER_COUNTS[kind]])
    extensions = [
        (0, _vector(b"\0" + _vector(name, 2), 2)),
        (10, _vector(_numbers((29, 23, 24, 25)), 2)),
        (11, b"\1\0"),
        (13, _vector(_numbers((0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806)), 2)),
        (16, _vector(b"\2h2\x08http/1.1", 2)),
        (23, b""),
        (35, b""),
        (43, _vector(_numbers((0x0304, 0x0303)), 1)),
        (45, b"\1\1"),
        (51, _vector(_numbers((29, 32)) + rng.randbytes(32), 2)),
    ]
    if kind == _BROWSER:
        rng.shuffle(extensions)
        unknown = 0x0A0A + 0x1010 * rng.randrange(16)
        ciphers.insert(0, unknown)
        extensions.insert(0, (unknown, b""))
    block = b"".join(_numbers((number,)) + _vector(content, 2) for number, content in extensions)
    body = b"\3\3" + rng.randbytes(32) + _vector(rng.randbytes(32), 1)
    body += _vector(_numbers(ciphers), 2) + b"\1\0" + _vector(block, 2)
    return b"\x16\3\1" + _vector(b"\1" + _vector(body, 3), 2)


def _answer(rng: random.Random, certificate: bytes | None) -> bytes:
    """Return the server's first flight, of TLS 1.3 where there is no certificate."""
    extensions = _SUPPORTED_VERSION_13 if certificate is None else b""
    hello = b"\3\3" + rng.randbytes(32) + b"\0"
    hello += b"\x13\1" if certificate is None else b"\xc0\x2f"
    hello += b"\0" + _vector(extensions, 2)
    messages = b"\2" + _vector(hello, 3)
    if certificate is not None:
        messages += b"\x0b" + _vector(_vector(_vector(certificate, 3), 3), 3)
    return b"\x16\3\3" + _vector(messages, 2)


def _vector(content: bytes, length_size: int) -> bytes:
    return len(content).to_bytes(length_size, "big") + content


def _numbers(values: Iterable[int]) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)


def _frame(
    source: tuple[bytes, int],
    destination: tuple[bytes, int],
    sequence: int,
    flags: int,
    payload: bytes = b"",
) -> bytes:
    size = 40 + len(payload)
    header = struct.pack(">BxHHHBBH", 0x45, size, 1, 0, 64, 6, 0) + source[0] + destination[0]
    ports = (source[1], destination[1])
    fields = (sequence & 0xFFFF_FFFF, 0, 0x50, flags, 8_192, 0, 0)
    return bytes(12) + b"\x08\x00" + header + struct.pack(">HHIIBBHHH", *ports, *fields) + payload


def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host.example.test")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(7)
    builder = builder.not_valid_before(start).not_valid_after(start + dt.timedelta(365))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
