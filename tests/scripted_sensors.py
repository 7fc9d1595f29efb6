"""Sensors that follow a script, to test what runs them."""

import time

from agent.sensors.observations import Observation
from agent.sensors.sensor import Capability, Loss, State, Stats, Tools, Wake, Watch


class ScriptedSensor:
    """A sensor whose attributes a test sets; ``log`` tells what was done with it."""

    def __init__(self, tools: Tools, name: str, kinds: tuple[str, ...]) -> None:
        self.name = name
        self.kinds = kinds
        self.tools = tools
        self.capability = Capability("on", "script")
        self.state: State = "on"
        self.lost: dict[Loss, int] = {}
        self.observations: list[Observation] = []
        self.probe_error: Exception | None = None
        self.start_error: Exception | None = None
        self.drain_error: Exception | None = None
        self.stop_error: Exception | None = None
        self.cpu_s = 0.0
        self.interval_s = 0.0
        self.fileno: int | None = None
        self.log: list[str] = []

    def probe(self) -> Capability:
        self.log.append("probe")
        if self.probe_error is not None:
            raise self.probe_error
        return self.capability

    def start(self, kinds: frozenset[str]) -> None:
        self.log.append(f"start {' '.join(sorted(kinds))}")
        if self.start_error is not None:
            raise self.start_error

    def wake(self) -> Wake:
        return Wake(self.tools.clock.monotonic_s() + self.interval_s, self.fileno)

    def drain(self) -> list[Observation]:
        time.sleep(0.0005)  # it is always due, and leaves others some time
        if self.drain_error is not None:
            raise self.drain_error
        taken, self.observations = self.observations, []
        return taken

    def stats(self) -> Stats:
        return Stats(0, self.lost, (Watch(self.kinds, self.state, "script"),), self.cpu_s)

    def blind_spots(self) -> tuple[str, ...]:
        return (f"What {self.name} cannot see.",)

    def stop(self) -> None:
        self.log.append("stop")
        if self.stop_error is not None:
            raise self.stop_error
