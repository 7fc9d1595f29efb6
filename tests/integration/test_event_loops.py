"""Why a process that holds an MQTT client runs on asyncio's own event loop, and not on uvloop.

On uvloop 0.23 with aiomqtt 2.5.1 the client sometimes goes dead after its broker was killed: a
callback of the loop fails with "unable to perform operation on <UVPoll closed=True>; the handler
is closed", and nothing is read or written until a timeout. It is rare (2 of 40 kills of mosquitto
with 20 publishers, 1 of 40 with 5, 0 of 40 with 1; on asyncio 0 of 160), so that no test can wait
for it to happen. To see it, or to find that it is mended:

    PROCTOR_UVLOOP_KILLS=200 .venv/bin/pytest --timeout 600 tests/integration/test_event_loops.py
"""

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import brokers
from tests.brokers import Broker, BrokerName

ROOT = Path(__file__).parents[2]
PROBE = Path(__file__).parent / "session_probe.py"
PUBLISHERS = 20
DOWN_S = 0.2  # how long the broker is away
STALL_S = 5.0  # after that long a client that is not back is taken for dead
ASYNCIO_KILLS = 8
UVLOOP_KILLS = int(os.environ.get("PROCTOR_UVLOOP_KILLS", "0"))
LOOPS = [("asyncio", ASYNCIO_KILLS), *([("uvloop", UVLOOP_KILLS)] if UVLOOP_KILLS else [])]


@contextlib.contextmanager
def _probe(loop: str, url: str) -> Iterator["queue.Queue[str]"]:
    """Run the probe and yield the queue that its lines go to."""
    said: queue.Queue[str] = queue.Queue()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(PROBE), loop, url, str(PUBLISHERS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    ) as process:
        assert process.stdout is not None
        reader = threading.Thread(
            target=lambda lines: [*map(said.put, lines)], args=[process.stdout]
        )
        reader.start()
        yield said
        process.kill()
        reader.join()


def _comes_back(broker: Broker, said: "queue.Queue[str]") -> bool:
    """Kill the broker, start it again, and tell whether the client then sends in time."""
    said.get(timeout=30)
    broker.kill()
    time.sleep(DOWN_S)
    with contextlib.suppress(queue.Empty):
        while True:
            said.get_nowait()
    broker.start()
    with contextlib.suppress(queue.Empty):
        return said.get(timeout=STALL_S) != ""
    return False


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("loop", "kills"), LOOPS)
@pytest.mark.parametrize("name", brokers.BROKERS)
def test_client_comes_back_whenever_its_broker_does(
    loop: str, kills: int, name: BrokerName, service: Callable[[str], Path], tmp_path: Path
) -> None:
    with brokers.running(name, service(name), tmp_path) as broker, _probe(loop, broker.url) as said:
        assert [_comes_back(broker, said) for _ in range(kills)] == [True] * kills
