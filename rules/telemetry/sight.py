"""Sight of sensors: which rows of a kind a sensor can see at all.

Most sensors see every row of a kind they collect. One that sees only part of it must not make a
rule look evaluated whose rows it could never have seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

Pinned = Mapping[str, frozenset[object]]
"""Column → the only values a selector accepts there; columns it does not confine are absent."""

PARTIAL_SIGHT: Final[Mapping[tuple[str, str], Pinned]] = MappingProxyType(
    {
        # It asks the host's own listeners; what the host's clients negotiate it never sees.
        ("probe", "tls_session"): {"direction": frozenset({"inbound"})},
        # Of a capture file without stated local addresses, whoever opened a connection is the host.
        ("pcap_clients", "connection"): {"direction": frozenset({"outbound"})},
        ("pcap_clients", "tls_session"): {"direction": frozenset({"outbound"})},
        # The SSH server's file may be for root alone, so a sensor of its own reads it.
        ("facts", "setting"): {"area": frozenset({"sysctl", "cpu", "login", "password"})},
        ("sshd_config", "setting"): {"area": frozenset({"sshd"})},
    }
)
"""(sensor, kind) → what its rows are confined to; a pair that is not listed sees every row."""


def sees(sensor: str, kind: str, pinned: Pinned | None) -> bool:
    """Tell whether ``sensor`` can see every row of ``kind`` that a selector may accept.

    Args:
        sensor: Name of the sensor, as coverage rows state it.
        kind: Telemetry kind.
        pinned: What the selector confines columns to; None = it asks for any row of the kind, or
            nobody asks for a rule.
    """
    confined = PARTIAL_SIGHT.get((sensor, kind))
    if confined is None or pinned is None:
        return True
    return all(
        column in pinned and pinned[column] <= allowed for column, allowed in confined.items()
    )
