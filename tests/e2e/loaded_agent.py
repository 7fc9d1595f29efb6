"""An agent as a process of its own whose host is a script: the real runtime under steady load.

``python -m tests.e2e.loaded_agent FOLDER BROKER_URL EVENTS_PER_S`` runs until it is ended. Every
event is a connection with its own remote port, so that each can be told from the others; one in
ten is a Telnet connection, so that there is something to find whatever a killed agent missed.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path

from agent.commands.run import open_parts
from agent.config import Settings
from agent.runtime import Agent
from rules.telemetry import Event, Process, SystemClock
from tests.collectors import ScriptedCollector

AGENT_ID = "i-0load"
KINDS = ("aws_call", "connection", "imds_request", "listener", "tls_session")
CLIENT = Process(pid=4242, start_us=1, name="telnet", path="/usr/bin/telnet", user="app")
TELNET_PORT = 23
FIRST_PORT, PORTS = 10_000, 20_000


class LoadCollector(ScriptedCollector):
    """Observes one connection every ``1 / events_per_s`` seconds, by the wall clock."""

    def __init__(self, events_per_s: int) -> None:
        super().__init__([], clock=SystemClock(), kinds=KINDS)
        self._step_us = 1_000_000 // events_per_s

    def drain(self) -> list[Event]:
        begin_us, now_us = self._drained_us, self._clock.now_us()
        if begin_us is None:
            return []
        self._drained_us = now_us
        first = -(-begin_us // self._step_us)
        return [
            connection(n, n * self._step_us)
            for n in range(first, now_us // self._step_us + 1)
            if begin_us <= n * self._step_us < now_us
        ]


def connection(number: int, ts_us: int) -> Event:
    port = TELNET_PORT if number % 10 == 0 else FIRST_PORT + number % PORTS
    values = {
        "direction": "outbound",
        "protocol": "tcp",
        "remote_address": "10.9.8.7",
        "remote_port": port,
        "state": "opened",
        "attribution": "exact",
        "source": "simulator",
    }
    return Event("connection", ts_us, CLIENT, values)


async def main(folder: Path, broker_url: str, events_per_s: int) -> None:
    settings = Settings(
        agent_id=AGENT_ID,
        broker_url=broker_url,
        state_dir=str(folder),
        batch_max_age_s=0.2,
        reconnect_max_s=1.0,
        ack_timeout_s=5.0,
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with open_parts(settings) as parts:
        await Agent(replace(parts, collector=LoadCollector(events_per_s))).run(stop)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
