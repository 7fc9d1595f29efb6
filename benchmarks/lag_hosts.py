"""Hosts for the lag benchmark: real agents whose sensors are a script.

In: a server's broker, and when something shall happen. Out: ``agent.runtime.Agent`` as it is
installed, with its default settings, spool and MQTT session; what it observes are violations at the
given moments among as many harmless events a second as wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from bisect import bisect_left
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Final

from agent.collect import WAKE_AT
from agent.commands.run import open_parts
from agent.config import Settings
from agent.runtime import Agent
from rules.telemetry import Event, Process, SystemClock
from tests.collectors import ScriptedCollector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

KINDS: Final = ("connection", "imds_request")
REQUESTS: Final = 21  # one more than a process may send within five minutes
TAG: Final = "lag"  # the key by which each host is a target of its own
_WORKER = Process(pid=99, start_us=1, name="nginx", path="/usr/sbin/nginx", user="www")
_HARMLESS: Final = {
    "direction": "inbound",
    "protocol": "tcp",
    "local_address": "10.0.4.12",
    "local_port": 443,
    "remote_address": "10.0.9.7",
    "state": "opened",
    "attribution": "exact",
}
_TELNET: Final = {
    "direction": "outbound",
    "protocol": "tcp",
    "remote_address": "10.9.8.7",
    "remote_port": 23,
    "state": "opened",
    "attribution": "exact",
}
_IMDS: Final = {"imds_version": 1, "purpose": "credentials", "attribution": "exact"}


class Host(ScriptedCollector):
    """What one host sees: violations at planned moments, and harmless events at a steady rate.

    Attributes:
        moments: When something violates, microseconds, ascending; each by a process of its own,
            which logs in by Telnet and asks the metadata service once too often at that moment.
    """

    def __init__(self, agent_id: str, *, events_per_s: int) -> None:
        """Stand for a host on which nothing is planned yet."""
        super().__init__([], clock=SystemClock(), kinds=KINDS)
        self.agent_id = agent_id
        self.moments: Sequence[int] = ()
        self._events_per_s = events_per_s
        self._numbers = count()

    async def wait(self, timeout_s: float, *, oldest_s: float = math.inf) -> None:
        """Return as the real collector does: in time, or when many events wait, or old ones."""
        timeout_s = min(timeout_s, oldest_s)
        if self._events_per_s:
            timeout_s = min(timeout_s, WAKE_AT / self._events_per_s)
        await super().wait(timeout_s, oldest_s=oldest_s)

    def drain(self) -> list[Event]:
        """Return what happened since the last call."""
        begin_us, now_us = self._drained_us, self._clock.now_us()
        if begin_us is None:
            return []
        self._drained_us = now_us
        first, last = bisect_left(self.moments, begin_us), bisect_left(self.moments, now_us)
        found = [
            event for n in range(first, last) for event in violations(f"job-{n}", self.moments[n])
        ]
        if self._events_per_s:
            step_us = 1_000_000 // self._events_per_s
            found += [self._harmless(ts_us) for ts_us in range(begin_us, now_us, step_us)]
        return found

    def _harmless(self, ts_us: int) -> Event:
        port = 20_000 + next(self._numbers) % 40_000
        return Event("connection", ts_us, _WORKER, {**_HARMLESS, "remote_port": port})


def violations(name: str, ts_us: int) -> list[Event]:
    """Return what one process does at one moment: one rule's event, and a window that crosses."""
    process = Process(pid=4_242, start_us=ts_us, name=name, path=f"/opt/{name}", user="app")
    return [
        Event("connection", ts_us, process, _TELNET),
        *[Event("imds_request", ts_us, process, _IMDS)] * REQUESTS,
    ]


@contextlib.asynccontextmanager
async def running(hosts: Sequence[Host], *, broker_url: str, folder: Path) -> AsyncIterator[None]:
    """Run an agent on each host for the length of the block."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        with contextlib.ExitStack() as opened:
            for host in hosts:
                settings = Settings(
                    agent_id=host.agent_id,
                    broker_url=broker_url,
                    state_dir=str(folder / host.agent_id),
                    tags={TAG: host.agent_id},
                )
                parts = opened.enter_context(open_parts(settings))
                agent = Agent(replace(parts, collector=host))
                group.create_task(agent.run(stop), name=host.agent_id)
            try:
                yield
            finally:
                stop.set()
