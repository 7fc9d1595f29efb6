"""World: the hosts of a fleet, their process instances, and every text that their telemetry names.

In: a shape. Out: ids of a ``Dictionary`` by subject, so that rows can be drawn as numbers alone.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from analyzer.telemetry.dictionary import Dictionary
from benchmarks.fleet import names
from benchmarks.fleet.draw import Ints, moments, skewed
from benchmarks.fleet.shape import START_US, Shape
from rules.telemetry.event import Process

if TYPE_CHECKING:
    from collections.abc import Sequence

Ids = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float64]
WORLD_STREAM: Final = 1_000_000  # generator number of the world; hosts have theirs below it
_PEERS_PER_HOST: Final = (40, 80, 8)  # private, public and IPv6 ones of the fleet
_FIRST_PEERS: Final = 400  # and so many more
_MEAN_PROCESSES: Final = 445  # before clipping; 190,000 of 500 hosts
_DAEMON_SHARE: Final = 8  # one instance in so many was there before the day began
_DAEMON_EVENTS: Final = 0.8
_WEEK_US: Final = 7 * 86_400_000_000
_HOST_SKEW: Final = 0.7  # exponent of Zipf's law: the busiest of 500 hosts has 5 % of the events


@dataclass(frozen=True, slots=True)
class Host:
    """One host; ``first`` is the id of its first process instance, the rogue ones."""

    number: int
    agent_id: str
    first: int
    daemons: int
    started_us: Ints
    """Starts of the instances that began during the day, ascending; they follow the daemons."""
    address: int
    """Id of its own address."""

    @property
    def first_daemon(self) -> int:
        """Return the id of its first daemon; the others follow."""
        return self.first + len(names.ROGUES)

    @property
    def first_started(self) -> int:
        """Return the id of its first instance that began during the day; the others follow."""
        return self.first_daemon + self.daemons

    def pick(self, rng: np.random.Generator, ts_us: Ints) -> Ids:
        """Return the instance behind each event: a daemon mostly, else one that began lately."""
        count = len(ts_us)
        daemon = skewed(rng, count, self.daemons)
        lately = np.searchsorted(self.started_us, ts_us, side="right") - 1
        lately -= skewed(rng, count, 4)
        is_daemon = (rng.random(count) < _DAEMON_EVENTS) | (lately < 0)
        return np.where(is_daemon, self.first_daemon + daemon, self.first_started + lately).astype(
            np.uint32
        )

    def rogue(self, which: int) -> int:
        """Return the id of one of ``names.ROGUES`` on this host."""
        return self.first + which


class World:
    """Everything that the rows of a fleet point to.

    Attributes:
        dictionary: Texts and process instances by id.
        hosts: By number.
        weights: Share of each host in the events.
    """

    def __init__(self, shape: Shape) -> None:
        """Make the hosts and their processes."""
        self.dictionary = Dictionary()
        self._rng = np.random.default_rng((shape.seed, WORLD_STREAM))
        self.weights = self._weights(shape.hosts)
        peers = [_FIRST_PEERS + shape.hosts * each for each in _PEERS_PER_HOST]
        self.private = self._addresses(0x0A00_0000, 1 << 20, peers[0])
        self.public = self._addresses(0x2D00_0000, 1 << 28, peers[1])
        self.public_6 = self._addresses(0x2600 << 112, 1 << 32, peers[2])
        self.hosts = self._hosts(shape.hosts)

    def ids(self, texts: Sequence[str]) -> Ids:
        """Return the ids of texts."""
        return self.dictionary.text_ids(texts)[1:]

    def id(self, text: str) -> int:
        """Return the id of a text."""
        return self.dictionary.text_id(text)

    @cached_property
    def fingerprints(self) -> tuple[Ids, Ids]:
        """Return JA3 and JA4 of every TLS client."""
        numbers = self._rng.integers(0, 2**48, names.FINGERPRINTS).tolist()
        ja4 = self.ids([f"t13d1516h2_{value:012x}_{value ^ 0x5A5A:012x}" for value in numbers])
        return self.ids([f"{value:032x}" for value in numbers]), ja4

    @cached_property
    def subjects(self) -> dict[int, int]:
        """Return the certificate subject of each server name, both as ids."""
        known = names.SERVER_NAMES + names.ODD_SERVER_NAMES
        subjects = self.ids([f"CN={name}" for name in known])
        return dict(zip(self.ids(known).tolist(), subjects.tolist(), strict=True))

    def _weights(self, hosts: int) -> Floats:
        ranked = 1 / np.arange(1, hosts + 1) ** _HOST_SKEW
        weights: Floats = self._rng.permutation(ranked / ranked.sum())
        return weights

    def _addresses(self, base: int, span: int, count: int) -> Ids:
        numbers = np.unique(self._rng.integers(0, span, count))
        self._rng.shuffle(numbers)
        return self.ids([str(ipaddress.ip_address(base + int(number))) for number in numbers])

    def _hosts(self, count: int) -> tuple[Host, ...]:
        skew = self._rng.pareto(1.3, count) * 150 + 60
        processes = np.clip(skew / skew.mean() * _MEAN_PROCESSES, 40, 8_000).astype(int)
        return tuple(self._host(number, int(size)) for number, size in enumerate(processes))

    def _host(self, number: int, size: int) -> Host:
        daemons = max(len(names.SERVERS), size // _DAEMON_SHARE)
        begun_us = START_US - self._rng.integers(1, _WEEK_US, len(names.ROGUES) + daemons)
        started_us = np.sort(moments(self._rng, size - daemons))
        instances = [
            *(_process(self._rng, name, path, user) for name, path, user in names.ROGUES),
            *(self._instance(names.DAEMONS) for _ in range(daemons)),
            *(self._instance(names.COMMANDS) for _ in range(len(started_us))),
        ]
        starts = np.concatenate((begun_us, started_us)).tolist()
        first = len(self.dictionary.processes)
        for place, (process, start_us) in enumerate(zip(instances, starts, strict=True)):
            self.dictionary.process_id(process._replace(pid=300 + place, start_us=start_us))
        if len(self.dictionary.processes) != first + len(instances):
            raise ValueError("two hosts have one process instance; take another seed")
        address = self.id(str(ipaddress.ip_address(0x0A64_0000 + number)))
        agent_id = f"i-{0x0A00_0000_0000_0000 + number * 0x9E37_79B1:017x}"
        return Host(number, agent_id, first, daemons, started_us, address)

    def _instance(self, pool: Sequence[str]) -> Process:
        rng = self._rng
        name = pool[int(rng.random() ** 2 * len(pool))]
        user = names.USERS[int(rng.random() ** 3 * len(names.USERS))]
        folder = "/opt/app/bin/" if name.startswith(("svc-", "job-")) else "/usr/bin/"
        container = f"{rng.integers(0, 2**62):064x}" if rng.random() < 0.2 else None  # noqa: PLR2004
        return _process(rng, name, folder + name, user)._replace(container_id=container)


def _process(rng: np.random.Generator, name: str, path: str, user: str) -> Process:
    uid = 0 if user == "root" else 1_000 + names.USERS.index(user)
    return Process(name=name, path=path, parent_pid=int(rng.integers(1, 300)), uid=uid, user=user)
