"""JA3: a fingerprint of TLS clients, from what their hello offers.

In: a ClientProfile. Out: 32 hexadecimal digits. Clients that shuffle their extensions have another
one each time; JA4 is made for those.
Source: the JA3 specification of Salesforce (BSD-3-Clause): MD5 of the version, the ciphers, the
extensions, the groups and the point formats, as decimal numbers, without those of RFC 8701.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import md5
from typing import TYPE_CHECKING, Final

from agent.decode.client_offer import is_grease

if TYPE_CHECKING:
    from agent.decode.client_offer import ClientProfile

_CACHED: Final = 1024


def ja3(profile: ClientProfile) -> str:
    """Return the JA3 of a client."""
    return md5(ja3_text(profile).encode(), usedforsecurity=False).hexdigest()


def ja3_text(profile: ClientProfile) -> str:
    """Return what JA3 is the MD5 of."""
    lists = (profile.ciphers, profile.extensions, profile.groups, profile.point_formats)
    return ",".join((str(profile.version_code), *map(_joined, lists)))


@lru_cache(_CACHED)  # the clients of a host are few
def _joined(numbers: tuple[int, ...]) -> str:
    return "-".join(str(number) for number in numbers if not is_grease(number))
