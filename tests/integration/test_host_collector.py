"""The collector on this host: its sensors, this kernel, real traffic over loopback."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.collect import HostCollector
from agent.config import Settings
from agent.sensors import ProbeSensor, ProcSensor, PsutilSensor, SockDiagSensor
from agent.sensors.observations import Listener
from agent.sensors.own_connections import Endpoint, OwnConnections
from agent.sensors.probe import Schedule
from agent.sensors.sensor import Ladder, Sensor, Tools
from rules.telemetry import Coverage, Event, SystemClock
from rules.telemetry.recording import Recording, parse_recording
from tests.certificates import write_pair

LOOPBACK = "127.0.0.1"
PATIENCE_S = 30  # on a machine that has other things to do
SOCKETS = frozenset({"connection", "listener"})
ALL = SOCKETS | {"tls_session"}
NOBODY = 65_534
CAPABILITIES = "+sys_ptrace,+dac_read_search"
CAPTURE = ("capture", "--for", "4s", "--no-probe", "--agent-id", "h-1")

pytestmark = pytest.mark.allow_blocking  # the tests themselves make traffic


class OnlyPorts(Schedule):
    """Asks the listeners of a test, and nothing else that runs on this machine."""

    def __init__(self, ports: set[int]) -> None:
        super().__init__(settle_s=0)
        self._ports = ports

    def take_due(self, listeners: Any, now_s: float) -> list[Listener]:  # noqa: ANN401
        return super().take_due([each for each in listeners if each.port in self._ports], now_s)


class NotedConnections(OwnConnections):
    """Remembers every port that was asked from."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: set[int] = set()

    def add(self, asking: Endpoint, answering: Endpoint, *, cookie: int, now_us: int) -> None:
        self.ports.add(asking[1])
        super().add(asking, answering, cookie=cookie, now_us=now_us)


class Watched:
    """A running collector and what it has told so far.

    Another agent on this machine may ask the same listeners: what it does is traffic like any.
    """

    def __init__(self, collector: HostCollector, probed: set[int], own: NotedConnections) -> None:
        self.collector = collector
        self.probed = probed
        self.own = own
        self.events: list[Event] = []

    async def until(self, is_there: Callable[[], bool], *, timeout_s: float = PATIENCE_S) -> None:
        async with asyncio.timeout(timeout_s):
            while not is_there():
                await self.collector.wait(0.05)
                self.events += self.collector.drain()

    async def for_s(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.events += self.collector.drain()

    def of(self, port: int, **columns: str) -> list[Event]:
        """Return events whose local port this is."""
        return [
            event
            for event in self.events
            if event.values.get("local_port") == port and columns.items() <= event.values.items()
        ]

    def of_own(self) -> list[Event]:
        """Return connections that the agent itself has made, on either side."""
        return [
            event
            for event in self.events
            if event.kind == "connection" and self.own.ports & set(_ports(event))
        ]

    def coverage(self) -> tuple[Coverage, ...]:
        now_us = SystemClock().now_us()
        return self.collector.coverage(now_us - 1, now_us)


@pytest.fixture
def ladders() -> tuple[Callable[[Tools], Sensor], ...]:
    return (SockDiagSensor,)


@pytest.fixture
async def watched(ladders: Ladder) -> AsyncIterator[Watched]:
    ports: set[int] = set()

    def make_probe(tools: Tools) -> Sensor:
        return ProbeSensor(tools, schedule=OnlyPorts(ports))

    collector = HostCollector(SystemClock(), Settings(), ladders=(ladders, (make_probe,)))
    own = collector._tools.own = NotedConnections()
    await collector.start(ALL)
    yield Watched(collector, ports, own)
    await collector.stop()


@contextmanager
def serving(answer: Callable[[socket.socket], None], port: int = 0) -> Iterator[int]:
    """Answer connections, one after the other."""
    with socket.create_server((LOOPBACK, port), backlog=128) as server:
        thread = threading.Thread(target=_serve, args=(server, answer), name="server")
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(server: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            answer(connection)


def echo(connection: socket.socket) -> None:
    connection.sendall(connection.recv(100))


def ask(port: int) -> int:
    """Make one short connection and return its port."""
    with socket.create_connection((LOOPBACK, port)) as connection:
        connection.sendall(b"0123456789")
        connection.recv(100)
        return int(connection.getsockname()[1])


def ask_often(port: int, times: int) -> set[int]:
    return {ask(port) for _ in range(times)}


async def test_every_short_connection_is_told_on_both_sides(watched: Watched) -> None:
    with serving(echo) as port:
        asking = await asyncio.to_thread(ask_often, port, 1_000)
        await watched.until(lambda: len(watched.of(port, state="closed")) >= len(asking))
        await watched.for_s(0.2)

    inbound = watched.of(port, direction="inbound", state="closed")
    assert {event.values["remote_port"] for event in inbound} == asking
    assert {event.process and event.process.pid for event in inbound} == {os.getpid()}
    assert {event.values["bytes_sent"] for event in inbound} == {10}
    outbound = {
        (event.values["local_port"], event.values["state"])
        for event in watched.events
        if event.values.get("remote_port") == port and event.values["direction"] == "outbound"
    }
    assert outbound == {(each, state) for each in asking for state in ("opened", "closed")}
    assert not any(row.lost for row in watched.coverage())


async def test_connection_that_lasts_has_its_process(watched: Watched) -> None:
    with serving(echo) as port:
        with socket.create_connection((LOOPBACK, port)) as connection:
            local = connection.getsockname()[1]
            await watched.until(
                lambda: bool(watched.of(local) and watched.of(port, state="opened"))
            )
            await watched.for_s(0.2)
        await watched.until(lambda: bool(watched.of(local, state="closed")))

    opened, closed = watched.of(local)
    assert (opened.values["attribution"], opened.values["direction"]) == ("polled", "outbound")
    assert opened.process == closed.process
    assert opened.process is not None
    assert opened.process.pid == os.getpid()
    assert closed.values["duration_us"] >= 200_000


async def test_listener_is_told_soon(watched: Watched) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        await watched.until(lambda: bool(watched.of(port, state="opened")))
    await watched.until(lambda: bool(watched.of(port, state="closed")))

    opened, closed = watched.of(port)
    assert (opened.kind, opened.values["attribution"]) == ("listener", "polled")
    assert opened.process == closed.process
    assert opened.process is not None
    assert opened.process.pid == os.getpid()


async def test_udp_sockets_are_listeners_or_flows(watched: Watched) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind((LOOPBACK, 0))
        client.connect(server.getsockname())
        ports = (server.getsockname()[1], client.getsockname()[1])
        await watched.until(lambda: all(watched.of(port, protocol="udp") for port in ports))
    await watched.until(lambda: all(watched.of(port, state="closed") for port in ports))

    assert [event.kind for event in watched.of(ports[0])] == ["listener"] * 2
    assert [event.kind for event in watched.of(ports[1])] == ["connection"] * 2


async def test_failed_connection_is_none(watched: Watched) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, port))
    await watched.for_s(1.5)

    assert not [event for event in watched.events if event.values.get("remote_port") == port]


async def test_expired_certificate_is_told_and_probing_is_no_use(
    watched: Watched, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_pair(tmp_path, "rsa-2048", days_left=-1))
    asked: list[int] = []

    def answer(connection: socket.socket) -> None:
        asked.append(connection.getpeername()[1])
        try:
            with context.wrap_socket(connection, server_side=True) as encrypted:
                encrypted.recv(1)
        except OSError:
            return

    with serving(answer) as port:
        watched.probed.add(port)
        for version in ("TLSv1.2", "TLSv1.3"):
            await watched.until(lambda: bool(watched.of(port, tls_version=version)))  # noqa: B023
        await watched.for_s(2)  # polls and ends of what the probe has connected

    sessions = [event for event in watched.of(port) if event.kind == "tls_session"]
    assert {event.values["tls_version"] for event in sessions} >= {"TLSv1.2", "TLSv1.3"}
    expired = {
        event.values["tls_version"]
        for event in sessions
        if event.values.get("cert_not_after_us", event.ts_us) < event.ts_us
    }
    assert expired == {"TLSv1.2"}  # where it is sent in clear
    for event in sessions:
        assert (event.values["direction"], event.values["source"]) == ("inbound", "probe")
        assert event.values["attribution"] == "listener"
        assert event.process is not None
        assert event.process.pid == os.getpid()
    assert watched.own.ports <= set(asked)
    assert len(watched.own.ports) >= 3
    assert watched.of_own() == []


async def test_probed_listener_that_speaks_no_tls_stays_unused(watched: Watched) -> None:
    with serving(echo) as port:
        watched.probed.add(port)
        await watched.until(lambda: bool(watched.own.ports))
        await watched.for_s(1)
        asking = await asyncio.to_thread(ask, port)
        await watched.until(lambda: bool(watched.of(asking)))

    assert watched.own.ports
    assert watched.of_own() == []


def _ports(event: Event) -> tuple[object, object]:
    return event.values.get("local_port"), event.values.get("remote_port")


@pytest.mark.parametrize("ladders", [(ProcSensor,), (PsutilSensor,)], ids=["procfs", "psutil"])
async def test_polls_see_what_lasts(watched: Watched, ladders: Ladder) -> None:
    with serving(echo) as port:
        with socket.create_connection((LOOPBACK, port)) as connection:
            local = connection.getsockname()[1]
            await watched.until(lambda: bool(watched.of(local)))
        await watched.until(lambda: bool(watched.of(local, state="closed")))

    opened, _ = watched.of(local)
    source = "procfs" if ladders[0] is ProcSensor else "psutil"
    assert (opened.values["source"], opened.values["attribution"]) == (source, "polled")
    assert opened.process is not None
    assert opened.process.pid == os.getpid()
    assert watched.coverage()[0].state == "degraded"


def test_agent_that_may_not_use_netlink_reads_proc() -> None:
    program = Path(__file__).with_name("without_netlink.py")
    with serving(echo) as port:
        capture = subprocess.run(
            [sys.executable, program, *CAPTURE],
            capture_output=True,
            cwd=Path(__file__).parents[2],
            check=True,
        )
    recording = parse_recording(capture.stdout.splitlines())

    (listener,) = [row for row in recording.rows if row.get("local_port") == port]
    assert (listener["source"], listener["pid"]) == ("procfs", os.getpid())
    states = {row.sensor: row.state for _, row in recording.coverage}
    assert (states["sock_diag"], states["procfs"]) == ("off", "degraded")
    assert b"Traceback" not in capture.stderr


def run_agent(*arguments: str, capabilities: str = "") -> subprocess.Popen[bytes]:
    """Run ``proctor-agent`` as nobody, with capabilities or none."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        pytest.skip("setpriv and root are needed to become nobody")
    options = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if capabilities:
        options += [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"]
    code = "from agent.cli import main; raise SystemExit(main())"
    return subprocess.Popen(
        [setpriv, *options, sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


def capture_as_nobody(capabilities: str) -> tuple[Recording, int, int]:
    """Capture while this process, which is root's, listens and is connected to."""
    with serving(echo) as port, run_agent(*CAPTURE, capabilities=capabilities) as agent:
        assert agent.stderr is not None
        assert agent.stderr.readline() == b"ready\n"
        with socket.create_connection((LOOPBACK, port)) as connection:
            asking = int(connection.getsockname()[1])
            time.sleep(0.2)
        output, _ = agent.communicate(timeout=PATIENCE_S)
    return parse_recording(output.splitlines()), port, asking


@pytest.mark.parametrize(
    ("capabilities", "attribution"),
    [("", "unknown"), (CAPABILITIES, "polled")],
    ids=["none", "two"],
)
def test_nobody_sees_sockets_and_with_capabilities_their_processes(
    capabilities: str, attribution: str
) -> None:
    pid = os.getpid() if capabilities else None
    recording, port, asking = capture_as_nobody(capabilities)

    rows = [row for row in recording.rows if row.get("local_port") == port]
    (listener,) = [row for row in rows if row["telemetry"] == "listener"]
    assert (listener["attribution"], listener.get("pid")) == (attribution, pid)
    assert listener["uid"] == 0
    states = [row["state"] for row in rows if row.get("remote_port") == asking]
    assert sorted(states) == ["closed", "opened"]
    sensors = {row.sensor: row.state for _, row in recording.coverage}
    assert (sensors["sock_diag"], sensors["probe"]) == ("on", "off")
    facts = {kind: row.state for _, row in recording.coverage for kind in row.kinds}
    assert facts["package"] == "on"


def test_nobody_is_told_what_is_missing(tmp_path: Path) -> None:
    with run_agent("doctor", "--state-dir", str(tmp_path)) as agent:
        output, _ = agent.communicate(timeout=PATIENCE_S)

    text = " ".join(output.decode().split())
    assert "processes of other users hide which sockets they hold" in text
    assert "--ambient-caps=+sys_ptrace,+dac_read_search" in text
