"""Status: what a running agent says of itself, on its topic and in a file of its state folder.

In: a snapshot. Out: the heartbeat's JSON, and a small file, replaced in one step, which ``status``
reads. The file names a process, so that nobody takes the file of a dead agent for a living one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec

FILE_NAME: Final = "status.json"
FORMAT: Final = 1
_START_FIELD = 22  # of /proc/PID/stat: start time in clock ticks since boot. Source: proc(5)


class SensorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A sensor: which kinds, how well, and what would make it better."""

    name: str
    kinds: tuple[str, ...]
    state: str
    method: str = ""
    reason: str = ""
    remedy: str = ""
    blind_spots: tuple[str, ...] = ()


class SpoolStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What waits on disk, and what was dropped since the agent started, by cause."""

    bytes: int = 0
    batches: int = 0
    oldest_age_s: float = 0.0
    dropped_batches: dict[str, int] = {}
    dropped_events: dict[str, int] = {}


class HostInterface(msgspec.Struct, frozen=True):
    """A network interface that is up, and the addresses by which others reach it."""

    name: str
    addresses: tuple[str, ...]


class HostDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What a host is beside its name; empty where it is not known."""

    os_name: str = ""
    kernel_release: str = ""
    interfaces: tuple[HostInterface, ...] = ()


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """What the analyzer hears: the retained message of the status topic."""

    format: int = FORMAT
    agent_id: str
    boot_id: str
    state: str
    now_us: int
    hostname: str
    version: str
    tags: dict[str, str] = {}
    os_name: str = ""
    kernel_release: str = ""
    interfaces: tuple[HostInterface, ...] = ()
    collecting: bool = False
    throttled: bool = False
    """Whether it observes less than it could, to keep to its budget."""
    sensors: tuple[SensorStatus, ...] = ()
    spool: SpoolStatus = SpoolStatus()


class LocalStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What ``proctor-agent status`` reads."""

    heartbeat: Heartbeat
    pid: int
    pid_started: int
    """Start of the process in clock ticks since boot, as /proc tells it; 0 where it does not."""
    started_us: int
    endpoint: str
    is_connected: bool = False
    problem: str = ""
    runs: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    until_us: int | None = None
    last_ack_us: int | None = None
    sent_batches: int = 0
    rejected_batches: int = 0
    refused_messages: int = 0
    """Messages on the control and ack topics that were none."""
    failures: int = 0
    """How often collecting broke off by an error of the agent's own."""


def encode_heartbeat(heartbeat: Heartbeat) -> bytes:
    """Return the payload of the status topic."""
    return msgspec.json.encode(heartbeat)


def write_status(folder: Path, status: LocalStatus) -> None:
    """Replace the status file in one step; not made durable, since only the living count.

    Raises:
        OSError: The folder cannot be written.
    """
    temporary = folder / f"{FILE_NAME}.new"
    temporary.write_bytes(msgspec.json.encode(status))
    temporary.replace(folder / FILE_NAME)


def read_status(folder: Path) -> LocalStatus | None:
    """Return the last status an agent wrote into its folder, or None where there is none.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=LocalStatus)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def is_alive(status: LocalStatus, *, proc: Path = Path("/proc")) -> bool:
    """Tell whether the process that wrote a status still runs; its number may be another's."""
    started = process_start(status.pid, proc=proc)
    return started is not None and started == status.pid_started


def process_start(pid: int, *, proc: Path = Path("/proc")) -> int | None:
    """Return when a process started, in clock ticks since boot; None where there is none.

    Where /proc does not tell, the answer for every living process is 0.
    """
    if not (proc / "self").exists():
        return 0 if _answers(pid) else None
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The command name comes second, in parentheses, and may itself hold spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[_START_FIELD - 3])


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def to_jsonable(status: LocalStatus, *, is_running: bool) -> dict[str, Any]:
    """Return a status as plain values, for ``status --json``."""
    plain: dict[str, Any] = msgspec.to_builtins(status)
    return {"format": FORMAT, "running": is_running, **plain}
