"""Builds ClientHellos that ask a server for one version of TLS.

In: the version and random bytes. Out: one record to send. The keys offered are never used: the
handshake ends with the server's answer.
Source: RFC 8446, RFC 5246, RFC 6101, RFC 6066.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Final

from agent.decode.cipher_suites import OLDER_CODES, TLS13_CODES
from agent.decode.tls import (
    CLIENT_HELLO,
    HANDSHAKE,
    SUPPORTED_VERSIONS,
    VERSION_CODES,
    TlsVersion,
)

_SERVER_NAME: Final = 0
_SUPPORTED_GROUPS: Final = 10
_EC_POINT_FORMATS: Final = 11
_SIGNATURE_ALGORITHMS: Final = 13
_KEY_SHARE: Final = 51
_RENEGOTIATION_SIGNAL: Final = 0x00FF  # as an extension it would stand in the way of SSL 3.0

_X25519, _SECP256R1 = 29, 23
_CURVES: Final = (_X25519, _SECP256R1, 24, 25, 30)
# Groups without a key share: a server that wants one asks for it, which is answer enough.
_TLS13_GROUPS: Final = (*_CURVES, 0x11EC, 0x11EB, 0x11ED, 256, 257, 258, 259, 260)
_SIGNATURE_SCHEMES: Final = (
    *(0x0403, 0x0503, 0x0603),  # ECDSA
    *(0x0807, 0x0808),  # Ed25519, Ed448
    *(0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B),  # RSA-PSS
    *(0x0904, 0x0905, 0x0906),  # ML-DSA
    *(0x0401, 0x0501, 0x0601),  # RSA PKCS #1
    *(0x0303, 0x0301, 0x0302, 0x0402, 0x0502, 0x0602, 0x0203, 0x0201, 0x0202, 0x0101),  # outdated
)

_P256_PRIME: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_P256_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B

RandomBytes = Callable[[int], bytes]


def build_client_hello(
    version: TlsVersion, *, random_bytes: RandomBytes, server_name: str | None = None
) -> bytes:
    """Return the record of a ClientHello whose highest version is ``version``.

    A server that only knows older versions answers with its highest one, since all cipher suites
    are offered. SSL 3.0 has no extensions, so it has no server name either.

    Args:
        version: What is asked for; of TLS 1.3 no other is accepted.
        random_bytes: Returns as many random bytes as it is told.
        server_name: Host name to ask for (SNI); addresses are left out, as RFC 6066 wants.
    """
    code = min(VERSION_CODES[version], VERSION_CODES["TLSv1.2"])
    ciphers = [*OLDER_CODES, _RENEGOTIATION_SIGNAL]
    session_id = b""
    if version == "TLSv1.3":
        ciphers = [*TLS13_CODES, *ciphers]
        session_id = random_bytes(32)  # what middleboxes expect
    body = (
        _number(code, 2)
        + random_bytes(32)
        + _vector(session_id, 1)
        + _vector(_numbers(ciphers), 2)
        + _vector(b"\0", 1)  # no compression
        + _extensions(version, random_bytes, server_name)
    )
    record_code = code if version == "SSLv3" else VERSION_CODES["TLSv1.0"]
    message = _number(CLIENT_HELLO, 1) + _vector(body, 3)
    return _number(HANDSHAKE, 1) + _number(record_code, 2) + _vector(message, 2)


def _extensions(version: TlsVersion, random_bytes: RandomBytes, server_name: str | None) -> bytes:
    if version == "SSLv3":
        return b""
    groups = _TLS13_GROUPS if version == "TLSv1.3" else _CURVES
    parts = [
        _extension(_SUPPORTED_GROUPS, _vector(_numbers(groups), 2)),
        _extension(_EC_POINT_FORMATS, _vector(b"\0", 1)),
    ]
    if server_name is not None and not _is_address(server_name):
        entry = b"\0" + _vector(server_name.encode("ascii"), 2)
        parts.insert(0, _extension(_SERVER_NAME, _vector(entry, 2)))
    if version in {"TLSv1.2", "TLSv1.3"}:
        schemes = _vector(_numbers(_SIGNATURE_SCHEMES), 2)
        parts.append(_extension(_SIGNATURE_ALGORITHMS, schemes))
    if version == "TLSv1.3":
        versions = _vector(_number(VERSION_CODES["TLSv1.3"], 2), 1)
        parts.append(_extension(SUPPORTED_VERSIONS, versions))
        parts.append(_extension(_KEY_SHARE, _vector(_key_shares(random_bytes), 2)))
    return _vector(b"".join(parts), 2)


def _key_shares(random_bytes: RandomBytes) -> bytes:
    """Return public keys that nobody has the private half of; any 32 bytes are one of X25519."""
    return (
        _number(_X25519, 2)
        + _vector(random_bytes(32), 2)
        + _number(_SECP256R1, 2)
        + _vector(_point_on_p256(random_bytes), 2)
    )


def _point_on_p256(random_bytes: RandomBytes) -> bytes:
    """Return a random point of the curve, since servers refuse others: every second x has one."""
    x = int.from_bytes(random_bytes(32), "big") % _P256_PRIME
    while True:
        square = (x * x * x - 3 * x + _P256_B) % _P256_PRIME
        y = pow(square, (_P256_PRIME + 1) // 4, _P256_PRIME)
        if y * y % _P256_PRIME == square:
            return b"\x04" + _number(x, 32) + _number(y, 32)
        x = (x + 1) % _P256_PRIME


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _extension(number: int, content: bytes) -> bytes:
    return _number(number, 2) + _vector(content, 2)


def _vector(content: bytes, length_size: int) -> bytes:
    return _number(len(content), length_size) + content


def _numbers(values: Iterable[int]) -> bytes:
    return b"".join(_number(value, 2) for value in values)


def _number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")
