"""Agents: what their last heartbeat said, and how well they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

AGENT_SILENT_US: Final = 90_000_000  # three missed heartbeats of 30 s: it is not healthy
AGENT_LOST_US: Final = 86_400_000_000  # a day without a word: nobody knows whether there is one
GROUP_TAG: Final = "aws:autoscaling:groupName"  # set by EC2 Auto Scaling on its instances


class HealthCode(StrEnum):
    """How an agent is, as Inspector's clients know it."""

    IDLE = "IDLE"
    """Connected, and wanted for nothing."""
    RUNNING = "RUNNING"
    """Collecting."""
    SHUTDOWN = "SHUTDOWN"
    """It said that it goes, or its connection broke."""
    UNHEALTHY = "UNHEALTHY"
    """Connected as far as it is known, and silent for longer than heartbeats are apart."""
    THROTTLED = "THROTTLED"
    """It does less than it could, to keep to its budget."""
    UNKNOWN = "UNKNOWN"
    """Silent for so long that nobody can tell whether there is an agent."""

    @property
    def health(self) -> Health:
        """Return the health that it stands for."""
        return _HEALTH[self]


class Health(StrEnum):
    """Whether an agent can be assessed."""

    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    UNKNOWN = "UNKNOWN"


_HEALTH: Final = {
    HealthCode.IDLE: Health.HEALTHY,
    HealthCode.RUNNING: Health.HEALTHY,
    HealthCode.THROTTLED: Health.HEALTHY,
    HealthCode.SHUTDOWN: Health.UNHEALTHY,
    HealthCode.UNHEALTHY: Health.UNHEALTHY,
    HealthCode.UNKNOWN: Health.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface of a host, and the addresses by which others reach it."""

    name: str
    addresses: tuple[str, ...]

    @property
    def ipv4(self) -> tuple[str, ...]:
        """Return its IPv4 addresses."""
        return tuple(address for address in self.addresses if ":" not in address)

    @property
    def ipv6(self) -> tuple[str, ...]:
        """Return its IPv6 addresses."""
        return tuple(address for address in self.addresses if ":" in address)


def ipv4_of(interfaces: Iterable[Interface]) -> Iterator[str]:
    """Yield the IPv4 addresses of some interfaces, in their order."""
    return (address for each in interfaces for address in each.ipv4)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as its last heartbeat described it."""

    agent_id: str
    boot_id: str
    hostname: str
    version: str
    tags: dict[str, str]
    is_online: bool
    is_collecting: bool
    last_seen_us: int
    clock_offset_us: int = 0
    """The agent's clock minus the analyzer's, measured."""
    is_throttled: bool = False
    """Whether it keeps to its budget by doing less."""
    os_name: str = ""
    """Name and version of its operating system; empty where it was not said."""
    kernel_release: str = ""
    interfaces: tuple[Interface, ...] = ()

    def is_healthy(self, now_us: int) -> bool:
        """Tell whether it is connected and its heartbeat is recent."""
        return self.is_online and now_us - self.last_seen_us <= AGENT_SILENT_US

    def code(self, now_us: int) -> HealthCode:
        """Return how it is."""
        silent_us = now_us - self.last_seen_us
        if silent_us > AGENT_LOST_US:
            return HealthCode.UNKNOWN
        if not self.is_online:
            return HealthCode.SHUTDOWN
        if silent_us > AGENT_SILENT_US:
            return HealthCode.UNHEALTHY
        if self.is_throttled:
            return HealthCode.THROTTLED
        return HealthCode.RUNNING if self.is_collecting else HealthCode.IDLE

    def details(self, now_us: int) -> str:
        """Return how it is, in a sentence."""
        code = self.code(now_us)
        silent_s = max(0, now_us - self.last_seen_us) // 1_000_000
        return _DETAILS[code].format(silent_s=silent_s)

    @property
    def ipv4(self) -> tuple[str, ...]:
        """Return its IPv4 addresses."""
        return tuple(ipv4_of(self.interfaces))

    @property
    def auto_scaling_group(self) -> str:
        """Return the group that its tags name; empty where they name none."""
        return self.tags.get(GROUP_TAG, "")


_DETAILS: Final = {
    HealthCode.IDLE: "Connected; no run wants telemetry of it.",
    HealthCode.RUNNING: "Collecting telemetry.",
    HealthCode.SHUTDOWN: "Disconnected; its last word came {silent_s} s ago.",
    HealthCode.UNHEALTHY: "No heartbeat for {silent_s} s.",
    HealthCode.THROTTLED: "Collecting less than it could, to keep to its budget.",
    HealthCode.UNKNOWN: "Not heard of for {silent_s} s.",
}
