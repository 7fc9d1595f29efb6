"""Hosts for tests: network namespaces that are joined by cables, and nothing of the real network.

The thread that enters is in a namespace of its own from then on, with the processes and threads
that it starts; each host is another one, with a cable to it and a host name. Needs root.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services import find_program, missing_reason

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
# tracefs, so that perf works; it shows what its own mount namespace mounts, and may be refused.
_HOLD = """
ip link set lo up && hostname {name}
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
echo ready; exec cat
"""


@dataclass(frozen=True, slots=True)
class Host:
    """A host: its name, its address, the address at the other end of its cable, how to get in."""

    name: str
    address: str
    gateway: str
    pid: int

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return a command that runs another one on this host, as the same process."""
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--uts", "--", *command]


@contextmanager
def hosts(*names: str) -> Iterator[list[Host]]:
    """Enter a namespace of one's own for the length of the block, with these hosts around it."""
    _require()
    with ExitStack() as stack:
        stack.enter_context(_own_namespace())
        _run("ip", "link", "set", "lo", "up")
        yield [stack.enter_context(_host(name, number)) for number, name in enumerate(names)]


def _require() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make network namespaces")
    for program in ("ip", "nsenter", "unshare"):
        if find_program(program) is None:
            pytest.skip(missing_reason(program))


@contextmanager
def _own_namespace() -> Iterator[None]:
    before = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
    try:
        _check(_LIBC.unshare(_CLONE_NEWNET))
        try:
            yield
        finally:
            _check(_LIBC.setns(before, _CLONE_NEWNET))
    finally:
        os.close(before)


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextmanager
def _host(name: str, number: int) -> Iterator[Host]:
    command = ["unshare", "--net", "--mount", "--uts", "sh", "-c", _HOLD.format(name=name)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        host = Host(name, f"10.214.{number}.2", f"10.214.{number}.1", holder.pid)
        _join(host, f"cable{number}")
        yield host
        assert holder.stdin is not None
        holder.stdin.close()  # and so it ends, and its namespaces with it


def _join(host: Host, cable: str) -> None:
    """Lay a cable between this namespace and a host."""
    peer = ("peer", "name", "eth0", "netns", str(host.pid))
    _run("ip", "link", "add", cable, "type", "veth", *peer)
    _run("ip", "address", "add", f"{host.gateway}/30", "dev", cable)
    _run("ip", "link", "set", cable, "up")
    _run(*host.inside(["ip", "address", "add", f"{host.address}/30", "dev", "eth0"]))
    _run(*host.inside(["ip", "link", "set", "eth0", "up"]))


def _run(*command: str) -> None:
    program = find_program(command[0]) or Path(command[0])
    subprocess.run([str(program), *command[1:]], check=True, capture_output=True)
