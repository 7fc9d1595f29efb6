"""ClientHellos as clients write them, for tests without a client."""

from collections.abc import Iterable, Sequence

from tests.tls_messages import extension, message, record, vector


def numbers(values: Iterable[int]) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)


def server_name(name: bytes) -> bytes:
    return extension(0, vector(b"\0" + vector(name, 2), 2))


def alpn(*protocols: bytes) -> bytes:
    return extension(16, vector(b"".join(vector(each, 1) for each in protocols), 2))


def versions(*codes: int) -> bytes:
    return extension(43, vector(numbers(codes), 1))


def client_hello(
    version: int = 0x0303,
    *,
    ciphers: Sequence[int] = (0x1301, 0xC02F),
    extensions: Sequence[bytes] | None = (),
    session_id: bytes = b"",
) -> bytes:
    """Return the body of a ClientHello; without extensions at all where they are None."""
    body = version.to_bytes(2, "big") + bytes(32) + vector(session_id, 1)
    body += vector(numbers(ciphers), 2) + vector(b"\0", 1)
    return body if extensions is None else body + vector(b"".join(extensions), 2)


def client_record(body: bytes | None = None) -> bytes:
    """Return the record of a ClientHello."""
    return record(message(1, client_hello() if body is None else body), version=0x0301)


# What the specification of JA4 takes as its example: Chrome, with numbers of RFC 8701 among them.
CHROME = client_hello(
    ciphers=(
        *(0x2A2A, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8),
        *(0xC013, 0xC014, 0x009C, 0x009D, 0x002F, 0x0035),
    ),
    extensions=(
        extension(0x5A5A, b""),
        extension(0x001B, b"\x02\x00\x02"),
        server_name(b"App.Example.COM."),
        extension(0x0033, b"\0\0"),
        alpn(b"h2", b"http/1.1"),
        extension(0x4469, b""),
        extension(0x0017, b""),
        extension(0x002D, b"\x01\x01"),
        extension(
            0x000D,
            vector(numbers((0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)), 2),
        ),
        extension(0x0005, b"\x01\0\0\0\0"),
        extension(0x0023, b""),
        extension(0x0012, b""),
        versions(0x6A6A, 0x0304, 0x0303),
        extension(0xFF01, b"\0"),
        extension(0x000B, vector(b"\0", 1)),
        extension(0x000A, vector(numbers((0x3A3A, 29, 23, 24)), 2)),
        extension(0x0015, bytes(8)),
        extension(0x8A8A, b"\0"),
    ),
)
CHROME_JA4 = "t13d1516h2_8daaf6152771_e5627efa2ab1"
