"""The demo's sample traffic and its processes, on the loopback address and with real signals."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.demo.children import Children, end, run_here
from analyzer.demo.sample_network import NAMESPACE, NoNetworkError, sample_network
from analyzer.demo.sample_traffic import End, play
from tests.sites import free_port

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.allow_blocking


def has_namespace() -> bool:
    return Path("/run/netns", NAMESPACE).exists()


def has_ended(pid: int) -> bool:
    """Tell whether a process is gone, or waits for a parent that will never ask."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


@pytest.mark.parametrize("protocol", ["http", "telnet", "irc", "tls"])
async def test_calls_reach_servers(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.demo.sample_traffic.HOLD_S", 0.05)
    reached: list[bytes] = []
    read = asyncio.StreamReader.read

    async def spy(self: asyncio.StreamReader, size: int = -1) -> bytes:
        data = await read(self, size)
        reached.append(data)
        return data

    monkeypatch.setattr(asyncio.StreamReader, "read", spy)
    place = End(protocol, "127.0.0.1", free_port())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await play([place], [place])
    assert any(data.strip() for data in reached)


async def test_port_in_use_is_said_and_not_called(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = End("http", "127.0.0.1", taken.getsockname()[1])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await play([place], [place])
        taken.settimeout(0)
        with pytest.raises(BlockingIOError):
            taken.accept()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"skipped http on port {place.port} (Address already in use)", "ready"]


def test_process_ends_with_its_parent() -> None:
    command = [sys.executable, "-m", "analyzer.demo.sample_traffic"]
    place = f"irc=127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [*command, "--listen", place, "--call", place],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"listening {place}\n"
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0
        assert process.stdout.read() == "ready\n"


async def test_network_is_made_and_removed() -> None:
    async with sample_network() as network:
        if not network.has_peer:  # not allowed to; then it says so
            assert network.why_not
            return
        assert has_namespace()
        with socket.create_server((network.here, 0)) as server:
            port = server.getsockname()[1]
            code = f"import socket; socket.create_connection(('{network.here}', {port}), 5)"
            assert await run_here((*network.run_in_peer, sys.executable, "-c", code)) == 0
            server.settimeout(5)
            peer, (address, _) = server.accept()
            peer.close()
            assert address == network.peer
        with pytest.raises(NoNetworkError, match="another demo"):
            async with sample_network():
                pass
    assert not has_namespace()


async def test_children_end_with_the_block_and_say_why_they_failed(tmp_path: Path) -> None:
    async with Children(tmp_path) as children:
        good = await children.start("good", ["sleep", "60"])
        assert good.failure() is None
        bad = await children.start("bad", ["sh", "-c", "echo broken; exit 3"])
        await bad.process.wait()
        assert str(bad.failure()) == "bad ended with exit code 3:\nbroken"
    assert good.process.returncode == -signal.SIGTERM


async def test_child_that_will_not_end_is_made_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.demo.children.STOP_S", 0.5)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"{code}; time.sleep(60)", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    await end(process)
    assert process.returncode == -signal.SIGKILL


def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import asyncio, pathlib, sys\n"
        "from analyzer.demo.children import Children\n"
        "async def main():\n"
        "    async with Children(pathlib.Path(sys.argv[1])) as children:\n"
        "        child = await children.start('child', ['sleep', '60'])\n"
        "        print(child.process.pid, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(10)
    deadline_s = time.monotonic() + 10
    while not has_ended(pid):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
