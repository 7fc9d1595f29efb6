"""TLS messages as servers write them, for tests without a server."""

from collections.abc import Iterable, Sequence

RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def vector(content: bytes, size: int) -> bytes:
    return len(content).to_bytes(size, "big") + content


def record(content: bytes, *, kind: int = 22, version: int = 0x0303) -> bytes:
    return bytes([kind]) + version.to_bytes(2, "big") + vector(content, 2)


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vector(body, 3)


def extension(number: int, content: bytes) -> bytes:
    return number.to_bytes(2, "big") + vector(content, 2)


def server_hello(
    version: int = 0x0303,
    *,
    cipher: int = 0xC02F,
    extensions: Sequence[bytes] | None = (),
    random: bytes = bytes(32),
    session_id: bytes = b"",
) -> bytes:
    """Build the body of a ServerHello; without extensions at all where they are None."""
    body = version.to_bytes(2, "big") + random + vector(session_id, 1)
    body += cipher.to_bytes(2, "big") + b"\0"
    return body if extensions is None else body + vector(b"".join(extensions), 2)


def tls13_hello(version: int = 0x0304, *, random: bytes = bytes(32)) -> bytes:
    chosen = extension(43, version.to_bytes(2, "big"))
    return server_hello(cipher=0x1301, extensions=[extension(51, b"\0\x1d"), chosen], random=random)


def certificate_message(certificates: Iterable[bytes]) -> bytes:
    return vector(b"".join(vector(each, 3) for each in certificates), 3)


def alert(description: int, *, level: int = 2) -> bytes:
    return record(bytes([level, description]), kind=21)
