"""``proctor-agent run``: opens what an agent is made of, and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Final

from agent.cli import DONE, INTERRUPTED
from agent.commands.options import add_settings, make_parser, settings_of
from agent.config import Settings, read_password, to_toml
from agent.errors import ConfigError
from agent.identity import BOOT_ID_BYTES, Identity, find_agent_id, hostname
from agent.logs import set_up_logging
from agent.release import version

if TYPE_CHECKING:
    from agent.runtime import Parts

THREADS: Final = 4  # for the spool, the connection and the sensors' start; each costs memory
# Settings of the C library's heap. Source: mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
LARGE_BYTES: Final = 256 << 10  # blocks of memory that go back to the system once they are free
TURN_S: Final = 0.05  # for which a thread keeps the interpreter while others wait for it
# Objects that outlive others before cycles are looked for, and how often older ones are looked at.
GARBAGE_THRESHOLDS: Final = (50_000, 20, 50)
SPOOL_FOLDER: Final = "spool"  # in the state folder

_EXAMPLES = """\
  proctor-agent run --broker-url mqtt://10.0.0.5:1883 --tag Name=web-1
  proctor-agent run --config /etc/proctor/agent.toml
  PROCTOR_AGENT_TAGS=Name=web-1,Role=db proctor-agent run --print-config"""


def main(arguments: Sequence[str]) -> int:
    """Run the agent until SIGTERM or Ctrl+C, and return the exit code."""
    parser = make_parser(
        "run",
        "Watch this host while an assessment run wants it. Needs no privilege; with more, it sees "
        "more\n('proctor-agent doctor' tells). Stops gracefully on SIGTERM and Ctrl+C.",
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "--print-config", action="store_true", help="show every setting and where it comes from"
    )
    add_settings(parser)
    parsed = parser.parse_args(arguments)
    loaded = settings_of(parsed)
    if parsed.print_config:
        sys.stdout.write(to_toml(loaded))
        return DONE
    set_up_logging(loaded.settings.log_level)
    _share_one_heap()
    with open_parts(loaded.settings) as parts, collecting_garbage_seldom(), taking_long_turns():
        # asyncio's own event loop, on purpose: see agent/runtime.py.
        return asyncio.run(_run(parts))


def _share_one_heap() -> None:
    """Let all threads use one heap of the C library, where it is glibc, and keep it small.

    It would give each thread one of its own, of which each would keep a few hundred KB; threads of
    Python take turns anyway. And once a large block was freed, it would keep all that are smaller.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, LARGE_BYTES)


@contextlib.contextmanager
def collecting_garbage_seldom() -> Iterator[None]:
    """Look for cycles of garbage seldom, and never among what is there now.

    What the agent makes by the thousand, rows and records, has no cycles; looking at all of them
    took a quarter of its time under load.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextlib.contextmanager
def taking_long_turns() -> Iterator[None]:
    """Let threads change places more seldom than each 5 ms.

    Where CPUs are short, whoever gets the interpreter must first get a CPU, and nothing goes on
    until then: sensors and sending would hold each other up more than they work.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


async def _run(parts: Parts) -> int:
    from agent.runtime import Agent

    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="agent"))
    stop = asyncio.Event()
    codes: list[int] = []
    for number, code in ((signal.SIGTERM, DONE), (signal.SIGINT, INTERRUPTED)):
        loop.add_signal_handler(number, _stop, stop, codes, code)
    await Agent(parts).run(stop)
    return codes[0] if codes else DONE


def _stop(stop: asyncio.Event, codes: list[int], code: int) -> None:
    codes.append(code)
    stop.set()


@contextlib.contextmanager
def open_parts(settings: Settings) -> Iterator[Parts]:
    """Open the real parts of an agent: this host's sensors, its spool and its broker.

    Raises:
        ConfigError: The host has no id, or a file that the settings name cannot be used.
        SpoolError: The state folder is in use, or cannot be read or written.
    """
    from agent.budget import Ceiling
    from agent.collect import HostCollector
    from agent.host import describe_host
    from agent.runtime import Parts
    from agent.sinks.mqtt import MqttSink
    from agent.spool import Spool
    from rules.telemetry.clock import SystemClock

    ceiling = Ceiling(settings.cpu_ceiling_percent / 100, settings.memory_ceiling_bytes)
    clock = SystemClock()
    identity = make_identity(settings)
    sink = MqttSink(
        settings, identifier=f"proctor-agent-{identity.agent_id}", password=read_password(settings)
    )
    spool = Spool(
        Path(settings.state_dir) / SPOOL_FOLDER,
        max_bytes=settings.spool_max_bytes,
        max_age_s=settings.spool_max_age_s,
        clock=clock,
        sync=settings.spool_sync,
    )
    try:
        yield Parts(
            settings=settings,
            identity=identity,
            collector=HostCollector(clock, settings, ceiling=ceiling),
            spool=spool,
            sink=sink,
            clock=clock,
            rng=SystemRandom(),
            describe=describe_host,
        )
    finally:
        spool.close()


def make_identity(settings: Settings) -> Identity:
    """Return who this host is and a new boot id; makes the state folder if it is missing.

    Raises:
        ConfigError: The state folder cannot be made, or the host has no id.
    """
    state_dir = Path(settings.state_dir)
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        why = f"state_dir {state_dir} cannot be made: {error.strerror}"
        raise ConfigError(f"{why}. Choose another with --state-dir, or run as root.") from error
    random = os.urandom(BOOT_ID_BYTES)
    return Identity(
        agent_id=find_agent_id(configured=settings.agent_id, state_dir=state_dir, random=random),
        boot_id=os.urandom(BOOT_ID_BYTES).hex(),
        hostname=hostname(),
        version=version(),
        tags=settings.tags,
    )
