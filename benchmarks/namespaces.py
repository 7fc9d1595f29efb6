"""A network namespace for benchmarks, in which nothing else happens.

In: the program as it was called. Out: the same program once more inside, with loopback up and
tracefs mounted. Root is needed for kernel events; without it, the rest still runs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRACEFS = "/sys/kernel/tracing"
_INSIDE = "PROCTOR_BENCH_INSIDE"  # set in the process that has its own namespaces
_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41


def enter_namespace() -> None:
    """Start again inside namespaces of one's own; inside, get them ready and return."""
    if os.environ.get(_INSIDE):
        _mount_tracefs()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP_RUNNING))
        return
    unshare = shutil.which("unshare")
    if unshare is None:
        sys.exit("unshare is missing (Debian: util-linux), so there is no namespace to measure in")
    options = ["--net", "--mount"]
    options += [] if os.geteuid() == 0 else ["--map-root-user"]
    command = [unshare, *options, sys.executable, *sys.argv]
    os.execve(unshare, command, os.environ | {_INSIDE: "1", "PYTHONPATH": str(ROOT)})  # noqa: S606


def _mount_tracefs() -> None:
    """Mount tracefs, unless it is mounted: perf needs it. Without root it stays away."""
    mount = shutil.which("mount")
    if mount is not None and not Path(TRACEFS, "events").exists():
        subprocess.run([mount, "-t", "tracefs", "tracefs", TRACEFS], check=False)
