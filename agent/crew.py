"""Crew: the sensors of this host, chosen by trying, each kept running and accounted for.

In: ladders of sensors. Out: raw facts, and one account per sensor. A sensor that fails never stops
another; it is off until it works again.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.coverage import SensorAccount
from agent.restraint import Restraint
from agent.sensors.sensor import Capability, Sensor, State, Wake, Watch

if TYPE_CHECKING:
    from agent.sensors.observations import Observation
    from agent.sensors.sensor import Ladder, Loss, Tools

logger = logging.getLogger(__name__)

RETRY_S: Final = 10.0  # until a sensor that failed is started again


@dataclass(frozen=True, slots=True)
class SensorReport:
    """What a person should know of a sensor."""

    name: str
    kinds: tuple[str, ...]
    state: State
    method: str
    reason: str
    remedy: str
    blind_spots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rung:
    """A sensor and how well it would work here."""

    make: Callable[[Tools], Sensor]
    sensor: Sensor
    capability: Capability

    @property
    def is_working(self) -> bool:
        """Tell whether it can be started."""
        return self.capability.state != "off"

    def report(self, state: State | None = None) -> SensorReport:
        """Return what a person should know; ``state`` is what it is now, once it runs."""
        return SensorReport(
            name=self.sensor.name,
            kinds=self.sensor.kinds,
            state=state or self.capability.state,
            method=self.capability.method,
            reason=self.capability.reason,
            remedy=self.capability.remedy,
            blind_spots=self.sensor.blind_spots(),
        )


def climb(
    ladders: Iterable[Ladder], tools: Tools, *, switched_off: Mapping[str, str]
) -> list[Rung]:
    """Return of each ladder the rungs that were tried: the last of them works, or none does.

    Args:
        ladders: Sensors for the same kinds, the best first.
        tools: What they are made with.
        switched_off: Name of a sensor → the setting that forbids it.
    """
    tried: list[Rung] = []
    for ladder in ladders:
        for make in ladder:
            sensor = make(tools)
            setting = switched_off.get(sensor.name)
            capability = _forbidden(setting) if setting else _try(sensor)
            tried.append(Rung(make, sensor, capability))
            if tried[-1].is_working:
                break
    return tried


def _try(sensor: Sensor) -> Capability:
    try:
        return sensor.probe()
    except Exception as error:
        logger.exception("sensor.probe_failed", extra={"sensor": sensor.name})
        return Capability("off", "", f"cannot be tried: {error!r}")


def _forbidden(setting: str) -> Capability:
    return Capability("off", "", f"switched off by the setting {setting}", f"Set {setting} = true.")


class Member:
    """A sensor at work, with its account; it is made anew after a failure."""

    def __init__(
        self, rung: Rung, tools: Tools, kinds: frozenset[str], restraint: Restraint | None = None
    ) -> None:
        self.rung = rung
        self.kinds = kinds & frozenset(rung.sensor.kinds)
        self.account = SensorAccount(rung.sensor.name)
        self._tools = tools
        self._restraint = restraint or Restraint(None)
        self._sensor = rung.sensor
        self._read_s = float("-inf")
        self._retry_s = 0.0
        self.is_fed = False
        """Whether the sensor waits for something that the kernel keeps until it is read."""
        self._is_running = False
        self._thread_cpu_s = 0.0
        self._watching: list[Watch] | None = None
        self._latest_lost: dict[Loss, int] = {}
        self._lost: Counter[Loss] = Counter()
        self._lost_before: Counter[Loss] = Counter()  # of the sensors that this one replaced
        self.account.watch([Watch(tuple(sorted(self.kinds)), "off", rung.capability.reason)])

    def start(self) -> None:
        """Start the sensor, unless it cannot work here."""
        if self.rung.is_working:
            self._guard(self._start)

    def stop(self) -> None:
        """Stop the sensor."""
        if self._is_running:
            self._is_running = False
            self._guard(self._sensor.stop)

    def restrain(self) -> None:
        """Do what a new step of the budget asks for."""
        if self._is_paused:
            self.stop()
            words = self._restraint.step.words
            self._watching = None
            self.account.watch([Watch(tuple(sorted(self.kinds)), "off", words)])
        elif self._is_running:
            self._keep_account()

    @property
    def _is_paused(self) -> bool:
        return self._restraint.pauses(self.rung.sensor.name)

    def wake(self) -> Wake | None:
        """Say when to step; None = never."""
        if self._is_paused:
            return None
        if self._is_running:
            wake = self._sensor.wake()
            self.is_fed |= wake.fileno is not None
            return self._restraint.delayed(self.rung.sensor.name, wake, self._read_s)
        return Wake(self._retry_s) if self.rung.is_working else None

    @property
    def has_more(self) -> bool:
        """Tell whether the latest step has left something that the next one has at once."""
        return self._is_running and self._sensor.wake().has_more

    def step(self, *, is_forced: bool = False) -> Sequence[Observation]:
        """Return what the sensor has observed; nothing where it has failed.

        Over budget it is left alone for longer, unless the step is forced.
        """
        observations: list[Observation] = []
        now_s = self._tools.clock.monotonic_s()
        is_early = self._is_running and self._restraint.is_early(
            self.rung.sensor.name, now_s, self._read_s
        )
        if self.rung.is_working and (is_forced or not is_early):
            self._guard(lambda: observations.extend(self._drain()))
        return observations

    def fail(self, error: Exception) -> None:
        """Note that this sensor, or what is made of its facts, broke."""
        logger.error("sensor.failed", exc_info=error, extra={"sensor": self._sensor.name})
        self.account.fail(f"failed: {type(error).__name__}")
        self._watching = None
        self._retry_s = self._tools.clock.monotonic_s() + RETRY_S
        self.stop()

    def _guard(self, action: Callable[[], object]) -> None:
        begin_s = time.thread_time()
        try:
            action()
        except Exception as error:  # noqa: BLE001 (one broken sensor must not blind the others)
            self.fail(error)
        finally:
            self.account.spend(time.thread_time() - begin_s)

    def _start(self) -> None:
        self._sensor.start(self.kinds)
        self._is_running = True
        self._keep_account()

    def _drain(self) -> Sequence[Observation]:
        now_s = self._tools.clock.monotonic_s()
        if not self._is_running:
            if self._is_paused or now_s < self._retry_s:
                return ()
            self._lost_before, self._latest_lost, self._thread_cpu_s = self._lost, {}, 0.0
            self._sensor = self.rung.make(self._tools)
            self._start()
        observations = self._sensor.drain()
        self._read_s = now_s
        self._keep_account()
        return observations

    def _keep_account(self) -> None:
        stats = self._sensor.stats()
        watching = self._restraint.claimed(self.rung.sensor.name, stats.watching)
        if watching != self._watching:
            self._watching = watching
            self.account.watch(watching)
        if stats.lost != self._latest_lost:
            self._latest_lost = dict(stats.lost)
            self._lost = self._lost_before + Counter(stats.lost)
            self.account.lose(self._lost)
        self.account.spend(stats.cpu_s - self._thread_cpu_s)
        self._thread_cpu_s = stats.cpu_s
