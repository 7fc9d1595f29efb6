"""What every sensor has in common, so that a new one is one file and one entry in a tuple.

A sensor turns kernel tables, /proc or answers into raw facts. It never interprets them: which
process did what, and what counts as a connection, is decided by the correlation.

The collector calls a sensor from one thread at a time: ``probe``, ``start``, then ``drain``
whenever ``wake`` of any sensor says so or somebody wants all there is, and ``stop``. Whether a
sensor works is found out by trying, never by looking at a version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from agent.sensors.own_connections import OwnConnections
from rules.telemetry.clock import Clock

if TYPE_CHECKING:
    from agent.sensors.observations import Listener, Observation

State = Literal["on", "degraded", "off"]
Loss = tuple[str, str]
"""Telemetry kind and cause."""


@dataclass(slots=True)
class Tools:
    """What sensors are made with, and what they learn of each other."""

    clock: Clock
    own: OwnConnections = field(default_factory=OwnConnections)
    """Connections that sensors make, to be left out of what others see."""
    listeners: tuple[Listener, ...] = ()
    """What waits for peers now, as the correlation knows it."""
    round: int = 0
    """Grows when a run begins that wants to be told what is there."""
    ring_bytes: int = 4 << 20
    """Memory of the kernel's event rings, all CPUs together."""
    kernel_tells: bool = False
    """Whether the kernel tells each TCP connection: then polls need not look for them."""


@dataclass(frozen=True, slots=True)
class Capability:
    """How well a sensor works on this host, and what would make it better."""

    state: State
    method: str
    """How it observes, in a few words."""
    reason: str = ""
    """Why it is not fully on, or what its rows lack."""
    remedy: str = ""
    """What to do about it, with the exact command."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a sensor watches at the moment: the kinds, and how well."""

    kinds: tuple[str, ...]
    state: State
    method: str
    sampled_one_in: int = 1
    """Of how many events one is told; 1 = all."""


@dataclass(frozen=True, slots=True)
class Wake:
    """When the collector should call ``drain`` next: at a moment, or once a file is readable."""

    due_s: float
    """Monotonic seconds."""
    fileno: int | None = None
    has_more: bool = False
    """Whether the latest ``drain`` has left something that the next one has at once."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What a sensor says of itself, since it was made."""

    seen: int = 0
    """Raw facts it has seen."""
    lost: Mapping[Loss, int] = field(default_factory=dict)
    """What it knows it has missed; only ever counts up."""
    watching: tuple[Watch, ...] = ()
    """What it watches now; empty before ``start``."""
    cpu_s: float = 0.0
    """CPU time of threads of its own; what ``drain`` takes is measured by the caller."""


class Sensor(Protocol):
    """One source of raw facts about this host."""

    @property
    def name(self) -> str:
        """Return the name that coverage rows state."""
        ...

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the telemetry kinds that its facts become."""
        ...

    def probe(self) -> Capability:
        """Try what the sensor needs, leave nothing behind, and say how well it would work."""
        ...

    def start(self, kinds: frozenset[str]) -> None:
        """Begin to observe for ``kinds``; when this returns, nothing new is missed any more."""
        ...

    def wake(self) -> Wake:
        """Say when ``drain`` has something to do."""
        ...

    def drain(self) -> list[Observation]:
        """Do what is due now and return what was observed since the last call, oldest first."""
        ...

    def stats(self) -> Stats:
        """Return counters and what is being watched."""
        ...

    def blind_spots(self) -> tuple[str, ...]:
        """Return what this sensor cannot see on this host, each as a sentence."""
        ...

    def stop(self) -> None:
        """Release everything; the sensor is not used afterwards."""
        ...


Ladder: TypeAlias = tuple[Callable[[Tools], Sensor], ...]
"""Sensors for the same kinds, the best first."""
