"""Sample plan: which sample traffic the demo makes, and which rules should find it.

In: a sample network. Out: what to listen on and whom to call on each side, and sentences about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from analyzer.demo.sample_traffic import End

if TYPE_CHECKING:
    from analyzer.demo.sample_network import SampleNetwork

_HTTP: Final = 80
_TELNET: Final = 23
_IRC: Final = 6667
_TLS: Final = 18_443
_UNUSED: Final = (14_321, 14_322)


@dataclass(frozen=True, slots=True)
class Side:
    """What one process does."""

    listen: tuple[End, ...] = ()
    call: tuple[End, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """Return it as arguments of ``analyzer.demo.sample_traffic``."""
        listen = [word for end in self.listen for word in ("--listen", str(end))]
        return listen + [word for end in self.call for word in ("--call", str(end))]


@dataclass(frozen=True, slots=True)
class Plan:
    """What both sides do; without another side, ``peer`` does nothing."""

    here: Side
    peer: Side
    sentences: tuple[str, ...]
    """What happens, and in brackets which rule should say so."""


def plan_for(network: SampleNetwork) -> Plan:
    """Return the traffic that a network allows; without any address that is none."""
    if not network.here:
        return Plan(here=Side(), peer=Side(), sentences=())
    return _with_peer(network) if network.has_peer else _alone(network.here)


def _with_peer(network: SampleNetwork) -> Plan:
    here, peer = network.here, network.peer
    web, tls = End("http", here, _HTTP), End("tls", here, _TLS)
    remote_web, remote_telnet = End("http", peer, _HTTP), End("telnet", peer, _TELNET)
    return Plan(
        here=Side((web, tls, End("unused", here, _UNUSED[0])), (remote_web, remote_telnet)),
        peer=Side((remote_web, remote_telnet), (web, tls)),
        sentences=(
            f"a process logs in by Telnet to {peer} port {_TELNET} (insecure-client-login)",
            f"it reads a page over plain HTTP from {peer} port {_HTTP} (insecure-client-general)",
            f"it serves plain HTTP on {here} port {_HTTP} (insecure-server-protocol)",
            (
                f"it serves TLS on port {_TLS} with a certificate that expired in 2021 "
                "(expired-certificate-served)"
            ),
            f"it listens on port {_UNUSED[0]}, and nobody calls (unused-listening-tcp-port)",
        ),
    )


def _alone(here: str) -> Plan:
    ends = [End("http", here, _HTTP), End("telnet", here, _TELNET), End("irc", here, _IRC)]
    ends.append(End("tls", here, _TLS))
    unused = [End("unused", here, port) for port in _UNUSED]
    return Plan(
        here=Side((*ends, *unused), tuple(ends)),
        peer=Side(),
        sentences=(
            f"a process logs in by Telnet to port {_TELNET} (insecure-client-login)",
            f"it talks plain HTTP and IRC on ports {_HTTP} and {_IRC} (insecure-client-general)",
            "it serves Telnet and plain HTTP (insecure-server-protocol)",
            (
                f"it serves TLS on port {_TLS} with a certificate that expired in 2021 "
                "(expired-certificate-served)"
            ),
            (
                f"it listens on ports {_UNUSED[0]} and {_UNUSED[1]}, and nobody calls "
                "(unused-listening-tcp-port)"
            ),
        ),
    )
