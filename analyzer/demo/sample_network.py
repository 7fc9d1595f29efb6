"""Sample network: a second machine, as far as sockets can tell, for the demo's traffic.

In: nothing. Out: two addresses between which traffic is no loopback traffic. As root that is a
network namespace joined to this host by a pair of virtual cables; it is removed at the end, and
one that a killed demo left behind is removed at the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import shutil
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from analyzer.errors import AnalyzerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

NAMESPACE: Final = "proctor-demo"
_HOST_CABLE: Final = "proctor-demo0"
_PEER_CABLE: Final = "proctor-demo1"
_BLOCK: Final = ipaddress.IPv4Network("10.213.77.0/24")  # a free /30 of it is taken
_ADMIN_PATH: Final = "/usr/sbin:/sbin:/usr/bin:/bin"
_TIMEOUT_S: Final = 10.0


class NoNetworkError(AnalyzerError):
    """There is no network for sample traffic, and the text says why."""


@dataclass(frozen=True, slots=True)
class SampleNetwork:
    """Where sample traffic goes.

    Attributes:
        here: Address of this host; empty where it has none but loopback.
        peer: Address of the other side; the same as ``here`` where there is no other side.
        run_in_peer: Command that runs the command after it on the other side.
        why_not: Why there is no other side; empty where there is one.
    """

    here: str
    peer: str
    run_in_peer: tuple[str, ...] = ()
    why_not: str = ""

    @property
    def has_peer(self) -> bool:
        """Tell whether there is another side."""
        return self.here != self.peer


@contextlib.asynccontextmanager
async def sample_network() -> AsyncIterator[SampleNetwork]:
    """Yield a network, and remove what was made for it.

    Raises:
        NoNetworkError: Another demo is running on this host.
    """
    with _only_one_demo():
        ip = shutil.which("ip", path=_ADMIN_PATH)
        try:
            yield _own_network("there is no `ip` command") if ip is None else await _open(ip)
        finally:
            if ip is not None:
                await asyncio.shield(_remove(ip))


async def _open(ip: str) -> SampleNetwork:
    await _remove(ip)
    try:
        return await _create(ip)
    except NoNetworkError as error:
        return _own_network(f"a network namespace was refused: {error}")


def _own_network(why_not: str) -> SampleNetwork:
    here = own_address()
    if here is None:
        return SampleNetwork("", "", why_not=f"{why_not}; no IPv4 address besides loopback")
    return SampleNetwork(here, here, why_not=why_not)


def own_address() -> str | None:
    """Return this host's first IPv4 address that is not loopback, or None without one."""
    import psutil

    states = psutil.net_if_stats()
    for name, addresses in psutil.net_if_addrs().items():
        for entry in addresses:
            is_up = name in states and states[name].isup
            if entry.family == socket.AF_INET and is_up and not entry.address.startswith("127."):
                return str(entry.address)
    return None


def free_subnet(used: Iterable[str]) -> ipaddress.IPv4Network:
    """Return a /30 of our block that none of the ``used`` networks overlaps.

    Raises:
        NoNetworkError: They overlap all of it.
    """
    networks = [ipaddress.IPv4Network(text, strict=False) for text in used]
    for subnet in _BLOCK.subnets(new_prefix=30):
        if not any(subnet.overlaps(network) for network in networks):
            return subnet
    raise NoNetworkError(f"{_BLOCK} is in use")


async def _create(ip: str) -> SampleNetwork:
    here, peer = free_subnet(await _used_networks(ip)).hosts()
    inside = (ip, "-n", NAMESPACE)
    await _run(ip, "netns", "add", NAMESPACE)
    cables = ("link", "add", _HOST_CABLE, "type", "veth", "peer", "name", _PEER_CABLE)
    await _run(ip, *cables, "netns", NAMESPACE)
    await _run(ip, "address", "add", f"{here}/30", "dev", _HOST_CABLE)
    await _run(*inside, "address", "add", f"{peer}/30", "dev", _PEER_CABLE)
    await _run(ip, "link", "set", _HOST_CABLE, "up")
    await _run(*inside, "link", "set", _PEER_CABLE, "up")
    await _run(*inside, "link", "set", "lo", "up")
    return SampleNetwork(str(here), str(peer), (ip, "netns", "exec", NAMESPACE))


async def _remove(ip: str) -> None:
    """Remove the namespace and its cables, whatever of them is there."""
    for words in (("netns", "delete", NAMESPACE), ("link", "delete", _HOST_CABLE)):
        with contextlib.suppress(NoNetworkError):
            await _run(ip, *words)


async def _used_networks(ip: str) -> list[str]:
    """Return the networks that this host has addresses in or routes to, but for the default."""
    routes = json.loads(await _run(ip, "-j", "-4", "route", "show", "table", "all") or "[]")
    addresses = json.loads(await _run(ip, "-j", "-4", "address", "show") or "[]")
    found = [route["dst"] for route in routes if route.get("dst", "default") != "default"]
    return found + [_network(entry) for link in addresses for entry in link.get("addr_info", ())]


def _network(entry: dict[str, Any]) -> str:
    return f"{entry['local']}/{entry['prefixlen']}"


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_TIMEOUT_S):
        out, err = await process.communicate()
    if process.returncode:
        raise NoNetworkError(_last_line(err) or f"{' '.join(command)} failed")
    return out.decode()


def _last_line(text: bytes) -> str:
    return (text.decode(errors="replace").strip().splitlines() or [""])[-1]


@contextlib.contextmanager
def _only_one_demo() -> Iterator[None]:
    """Hold a name that the kernel frees when this process ends, however it ends."""
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind(f"\0{NAMESPACE}")
        except OSError as error:
            raise NoNetworkError("another demo is running on this host; wait for it") from error
        yield
