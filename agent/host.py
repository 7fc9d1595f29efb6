"""Host: what the heartbeat says of this host beside its name: system, kernel, addresses.

In: ``/etc/os-release`` and the kernel. Out: a ``HostDescription``; what cannot be read stays empty.
"""

from __future__ import annotations

from typing import Final

from agent.errors import NetlinkError
from agent.sensors.facts.host_files import HostFiles
from agent.sensors.facts.inventory import read_operating_system
from agent.sensors.interfaces import read_interfaces
from agent.status import HostDescription, HostInterface
from rules.telemetry.scope import scope_of

MAX_INTERFACES: Final = 50  # a host of containers has hundreds, which say nothing of the host
MAX_ADDRESSES: Final = 16  # of one interface
_LONGEST: Final = 256  # characters of a text
_OWN: Final = ("loopback", "link_local")  # scopes by which nobody finds the host


def describe_host() -> HostDescription:
    """Return what this host is now. Blocks for the time of a few small reads."""
    facts = next(read_operating_system(HostFiles())).values
    return HostDescription(
        os_name=str(facts.get("os_name") or "")[:_LONGEST],
        kernel_release=str(facts.get("kernel_release") or "")[:_LONGEST],
        interfaces=_interfaces(),
    )


def _interfaces() -> tuple[HostInterface, ...]:
    try:
        found = read_interfaces()
    except NetlinkError:
        return ()
    reached = [
        HostInterface(
            each.name,
            tuple(one.address for one in each.addresses if scope_of(one.address) not in _OWN)[
                :MAX_ADDRESSES
            ],
        )
        for each in found
        if each.is_up
    ]
    return tuple(each for each in reached if each.addresses)[:MAX_INTERFACES]
