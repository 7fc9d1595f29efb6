"""The kernel's tracepoints for a test, also where nobody has mounted tracefs."""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.sensors.perf_tracepoints import FOLDERS

# System calls with the same number on every architecture. Source: fsopen(2), fsmount(2)
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_CREATE = 6  # FSCONFIG_CMD_CREATE


@contextmanager
def tracefs() -> Iterator[str]:
    """Give the folder of tracefs; one that is mounted nowhere lives as long as its descriptor.

    Raises:
        OSError: The kernel has none, or does not let this process see it.
    """
    for folder in FOLDERS:
        if Path(folder, "events").is_dir():
            yield folder
            return
    context = _call(_FSOPEN, b"tracefs", 0)
    try:
        _call(_FSCONFIG, context, _CREATE, None, None, 0)
        mount = _call(_FSMOUNT, context, 0, 0)
    finally:
        os.close(context)
    try:
        yield f"/proc/self/fd/{mount}"
    finally:
        os.close(mount)


def _call(number: int, *arguments: bytes | int | None) -> int:
    result = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno() or errno.EIO
        raise OSError(code, os.strerror(code))
    return int(result)
