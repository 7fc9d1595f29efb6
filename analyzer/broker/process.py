"""The broker's process: started so that it cannot outlive us, and found again if it did.

In: a command. Out: a child process that ends with its parent; a file that identifies it; and the
end of a child that a killed analyzer left behind. Never ends a process that it cannot identify.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

_PROC = Path("/proc")
_STOP_S = 5.0  # for an orderly end, before SIGKILL
_KILL_S = 5.0

# Runs as the child and becomes the program: the kernel ends it when its parent dies. (A function
# run between fork and exec could deadlock in a parent with threads.)
_GUARD = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone already")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Identity(msgspec.Struct, frozen=True):
    """What tells a process from any other that ever had its number: Linux only."""

    pid: int
    started_ticks: int
    host_boot_id: str
    executable: str


async def start_process(command: Sequence[str], *, output: Path) -> asyncio.subprocess.Process:
    """Start a program that gets SIGTERM when this process dies, in a session of its own.

    Ctrl+C in a terminal so reaches the analyzer alone, which then stops the program in order. The
    kernel's watch is on the thread that calls, which must be the one that stays: the main thread.

    Args:
        command: Absolute path of the program, and its arguments.
        output: File for what it prints, replaced.
    """
    guarded = command
    if sys.platform == "linux":
        guarded = (sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), *command)
    file = await asyncio.to_thread(os.open, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return await asyncio.create_subprocess_exec(
            *guarded,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    finally:
        os.close(file)


async def stop_process(process: asyncio.subprocess.Process) -> None:
    """End a child: in order, or by force when that takes too long."""
    for send in (process.terminate, process.kill):
        with contextlib.suppress(ProcessLookupError):
            send()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await process.wait()
                return


def write_identity(path: Path, pid: int, *, executable: Path) -> None:
    """Note which process a child is; blocks. Nothing is noted where /proc cannot tell."""
    try:
        identity = Identity(pid, _started_ticks(pid), _host_boot_id(), str(executable.resolve()))
    except OSError:
        path.unlink(missing_ok=True)
        return
    path.write_bytes(msgspec.json.encode(identity))


def end_leftover(path: Path) -> bool:
    """End the process that a file identifies, if it still runs; blocks until it is gone.

    Returns:
        Whether there was one.
    """
    try:
        identity = msgspec.json.decode(path.read_bytes(), type=Identity)
        handle = os.pidfd_open(identity.pid)  # from here on the number cannot be reused unseen
    except (OSError, msgspec.DecodeError):
        return False
    try:
        if not _is_running(identity):
            return False
        for signal_number, seconds in ((signal.SIGTERM, _STOP_S), (signal.SIGKILL, _KILL_S)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal_number)
            if select.select([handle], [], [], seconds)[0]:
                break
        return True
    finally:
        os.close(handle)


def _is_running(identity: Identity) -> bool:
    try:
        executable = (_PROC / str(identity.pid) / "exe").readlink()
        return (
            _host_boot_id() == identity.host_boot_id
            and _started_ticks(identity.pid) == identity.started_ticks
            and str(executable).removesuffix(" (deleted)") == identity.executable
        )
    except OSError:
        return False


def _started_ticks(pid: int) -> int:
    """Return field 22 of /proc/PID/stat; the name in field 2 may hold spaces and brackets."""
    stat = (_PROC / str(pid) / "stat").read_text()
    return int(stat.rpartition(")")[2].split()[19])


def _host_boot_id() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
