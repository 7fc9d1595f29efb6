"""JA4: a fingerprint of TLS clients that does not depend on the order of their extensions.

In: a ClientProfile. Out: text such as ``t13d1516h2_8daaf6152771_e5627efa2ab1``. Only the one of TLS
clients is here; the others of the JA4 family are under another licence.
Source: FoxIO, JA4 technical details, JA4 (BSD-3-Clause).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from agent.decode.client_offer import SERVER_NAME, is_grease
from agent.decode.tls import ALPN

if TYPE_CHECKING:
    from agent.decode.client_offer import ClientProfile

_VERSIONS: Final = {
    0x0304: "13",
    0x0303: "12",
    0x0302: "11",
    0x0301: "10",
    0x0300: "s3",
    0x0002: "s2",
}
_UNKNOWN_VERSION: Final = "00"
_MAX_COUNT: Final = 99
_HASH_DIGITS: Final = 12
_NO_HASH: Final = "0" * _HASH_DIGITS
_NO_ALPN: Final = "00"
_CACHED: Final = 1024


def ja4(profile: ClientProfile) -> str:
    """Return the JA4 of a client that speaks TLS over TCP."""
    ciphers, count = _ciphers(profile.ciphers)
    extensions, extension_count = _extensions(profile.extensions, profile.signature_algorithms)
    has_name = "d" if SERVER_NAME in profile.extensions else "i"
    start = f"t{_version(profile)}{has_name}{count:02}{extension_count:02}{_alpn(profile.alpn)}"
    return f"{start}_{ciphers}_{extensions}"


def _version(profile: ClientProfile) -> str:
    offered = [version for version in profile.versions if not is_grease(version)]
    return _VERSIONS.get(max(offered, default=profile.version_code), _UNKNOWN_VERSION)


def _alpn(protocol: bytes | None) -> str:
    """Return the first and the last character of a protocol's name.

    Of a name that begins or ends with no letter or digit, those of its hexadecimal digits. The
    specification says so since 2024; some implementations still print ``99`` there.
    """
    if not protocol:
        return _NO_ALPN
    first, last = protocol[:1], protocol[-1:]
    if first.isalnum() and last.isalnum():
        return (first + last).decode()
    return first.hex()[0] + last.hex()[1]


@lru_cache(_CACHED)  # the clients of a host are few
def _ciphers(numbers: tuple[int, ...]) -> tuple[str, int]:
    """Return the hash of the sorted ciphers and how many there are."""
    real = _real(numbers)
    return _hash(sorted(real), ()), min(len(real), _MAX_COUNT)


@lru_cache(_CACHED)
def _extensions(numbers: tuple[int, ...], algorithms: tuple[int, ...]) -> tuple[str, int]:
    """Return the hash of the sorted extensions and how many there are, name and ALPN too."""
    real = _real(numbers)
    hashed = sorted(number for number in real if number not in {SERVER_NAME, ALPN})
    return _hash(hashed, _real(algorithms)), min(len(real), _MAX_COUNT)


def _real(numbers: tuple[int, ...]) -> list[int]:
    return [number for number in numbers if not is_grease(number)]


def _hash(numbers: Sequence[int], behind: Sequence[int]) -> str:
    if not numbers:
        return _NO_HASH
    text = "_".join(",".join(f"{each:04x}" for each in part) for part in (numbers, behind) if part)
    return sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
