"""Real brokers as child processes: started, killed and started again on the same port and data."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

BrokerName = Literal["nats-server", "mosquitto"]
BROKERS: tuple[BrokerName, ...] = ("nats-server", "mosquitto")
START_S = 10.0

# As operators are told to configure them. mosquitto's defaults drop messages silently.
_NATS = """
server_name: "test"
listen: "127.0.0.1:{other_port}"
max_payload: 8MB
jetstream {{ store_dir: "{folder}/data" }}
mqtt {{ listen: "127.0.0.1:{port}" }}
"""
_MOSQUITTO = """
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 1
max_queued_messages 0
user root
"""


class Broker:
    """A broker that listens on ``port`` of 127.0.0.1."""

    def __init__(self, name: BrokerName, program: Path, folder: Path, *, extra: str = "") -> None:
        self.port, other_port = _free_ports(2)
        self._command = _command(name, program, folder)
        self._log = folder / "broker.log"
        text = _NATS if name == "nats-server" else _MOSQUITTO
        config = text.format(port=self.port, other_port=other_port, folder=folder)
        (folder / "broker.conf").write_text(config + extra)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self._log.read_text())
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_S)
            self._process = None

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False


@contextlib.contextmanager
def running(name: BrokerName, program: Path, folder: Path, *, extra: str = "") -> Iterator[Broker]:
    """Run a broker with its data in ``folder`` for the length of the block.

    ``extra`` is put at the end of its configuration.
    """
    broker = Broker(name, program, folder, extra=extra)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def _command(name: BrokerName, program: Path, folder: Path) -> list[str]:
    flag = "--config" if name == "nats-server" else "-c"
    return [str(program), flag, str(folder / "broker.conf")]


def _free_ports(count: int) -> list[int]:
    """Return ports outside the range that the kernel gives to clients.

    Inside it, a client that tries a port again and again while the broker is down is given that
    very port one day, connects to itself, and keeps the broker from coming back.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found
