"""The embedded broker with the real nats-server: starts, serves, comes back, gives way."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import aiomqtt
import msgspec
import pytest

from analyzer.broker import Broker, BrokerSettings
from analyzer.broker.process import Identity
from analyzer.errors import BrokerError
from rules.telemetry.wire import MAX_MESSAGE_BYTES

TOPIC = "proctor/v1/telemetry/7/web-1"


@pytest.fixture
def settings(service: Callable[[str], Path]) -> BrokerSettings:
    return BrokerSettings(port=0, binary=service("nats-server"))


@pytest.fixture
async def broker(tmp_path: Path, settings: BrokerSettings) -> AsyncIterator[Broker]:
    async with Broker(tmp_path / "broker", settings=settings, rng=Random(1)) as broker:
        yield broker


def _client(broker: Broker, name: str) -> aiomqtt.Client:
    return aiomqtt.Client(broker.host, broker.port, identifier=name, clean_session=False, timeout=5)


def _pid(folder: Path) -> int:
    return msgspec.json.decode((folder / "broker.pid").read_bytes(), type=Identity).pid


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen within 10 s")


async def _received(broker: Broker, name: str, count: int) -> list[bytes]:
    async with asyncio.timeout(15), _client(broker, name) as client:
        await client.subscribe(TOPIC, qos=1)
        payloads = []
        async for message in client.messages:
            payloads.append(message.payload)
            if len(payloads) == count:
                break
        return payloads


async def test_answers_as_soon_as_it_is_entered(broker: Broker) -> None:
    assert broker.is_running
    async with _client(broker, "reader") as reader, _client(broker, "writer") as writer:
        await reader.subscribe(TOPIC, qos=1)
        for payload in (b"one", bytes(MAX_MESSAGE_BYTES)):
            await writer.publish(TOPIC, payload, qos=1)
            message = await anext(aiter(reader.messages))
            assert message.payload == payload


async def test_is_gone_after_the_context(tmp_path: Path, settings: BrokerSettings) -> None:
    folder = tmp_path / "broker"
    async with Broker(folder, settings=settings, rng=Random(1)) as broker:
        pid = _pid(folder)
        assert (folder / "store").is_dir()
        assert "Server is ready" in (folder / "broker.log").read_text()
    assert not _is_alive(pid)
    assert not broker.is_running
    assert not (folder / "broker.pid").exists()


async def test_killed_broker_comes_back_with_all_it_acknowledged(
    broker: Broker, tmp_path: Path
) -> None:
    async with _client(broker, "reader") as reader:
        await reader.subscribe(TOPIC, qos=1)
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(broker.supervise(), name="broker.supervise")
        for restarts in (1, 2):
            async with _client(broker, "writer") as writer:
                for number in range(50):
                    await writer.publish(TOPIC, f"{restarts} {number}".encode(), qos=1)
            os.kill(_pid(tmp_path / "broker"), signal.SIGKILL)
            await _until(lambda restarts=restarts: broker.restarts == restarts)  # type: ignore[misc]
        payloads = await _received(broker, "reader", 100)
        watch.cancel()
    assert payloads == [f"{n} {m}".encode() for n in (1, 2) for m in range(50)]


async def test_supervision_ends_with_the_context(tmp_path: Path, settings: BrokerSettings) -> None:
    async with asyncio.TaskGroup() as group:
        async with Broker(tmp_path, settings=settings, rng=Random(1)) as broker:
            watch = group.create_task(broker.supervise(), name="broker.supervise")
            await asyncio.sleep(0)
        await watch
    assert broker.restarts == 0


async def test_own_protocol_of_the_program_is_closed(broker: Broker, tmp_path: Path) -> None:
    log = (tmp_path / "broker" / "broker.log").read_text()
    address = log.partition("Listening for client connections on ")[2].split()[0]
    host, _, port = address.rpartition(":")
    assert host == "127.0.0.1"
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b'CONNECT {"verbose":true}\r\nPING\r\n')
    answer = await reader.read()
    writer.close()
    assert b"Authorization Violation" in answer
    assert broker.is_running


_ANALYZER = """
import asyncio, sys
from pathlib import Path
from random import Random
from analyzer.broker import Broker, BrokerSettings, process

process._GUARD = sys.argv[4] or process._GUARD

async def main():
    settings = BrokerSettings(port=int(sys.argv[2]), binary=Path(sys.argv[3]))
    async with Broker(Path(sys.argv[1]), settings=settings, rng=Random(1)) as broker:
        print(broker.port, flush=True)
        await broker.supervise()

asyncio.run(main())
"""


async def _analyzer(
    folder: Path, port: int, binary: Path, *, guard: str = ""
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _ANALYZER,
        str(folder),
        str(port),
        str(binary),
        guard,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    async with asyncio.timeout(15):
        return await process.stdout.readline()


async def test_killed_analyzer_takes_its_broker_along(
    tmp_path: Path, settings: BrokerSettings
) -> None:
    assert settings.binary is not None
    analyzer = await _analyzer(tmp_path, 0, settings.binary)
    port = int(await _line(analyzer))
    pid = _pid(tmp_path)
    assert _is_alive(pid)
    analyzer.kill()
    await analyzer.wait()
    await _until(lambda: not _is_alive(pid))
    again = BrokerSettings(port=port, binary=settings.binary)
    async with Broker(tmp_path, settings=again, rng=Random(1)) as broker:
        assert broker.port == port


async def test_restarted_analyzer_ends_a_broker_that_was_left(
    tmp_path: Path, settings: BrokerSettings
) -> None:
    assert settings.binary is not None
    folder = tmp_path / "broker"
    # As on a system that cannot tie a child to its parent.
    guard = "import os, sys; os.execv(sys.argv[2], sys.argv[2:])"
    analyzer = await _analyzer(folder, 0, settings.binary, guard=guard)
    port = int(await _line(analyzer))
    pid = _pid(folder)
    analyzer.kill()
    await analyzer.wait()
    assert _is_alive(pid)
    again = BrokerSettings(port=port, binary=settings.binary)
    async with Broker(folder, settings=again, rng=Random(1)) as broker:
        assert not _is_alive(pid)
        assert _pid(folder) != pid
        async with _client(broker, "writer") as client:
            await client.publish(TOPIC, b"x", qos=1)


async def test_port_of_a_stranger_is_left_to_it(tmp_path: Path, settings: BrokerSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        taken = BrokerSettings(port=port, binary=settings.binary)
        with pytest.raises(BrokerError, match=rf"127\.0\.0\.1:{port} is taken by another program"):
            async with Broker(tmp_path, settings=taken, rng=Random(1)):
                pytest.fail("two programs listen on one port")


def _program(folder: Path, body: str) -> Path:
    """Return a program that tells a good version and then does something else."""
    path = folder / "nats-server"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec echo nats-server: v2.11.0\n{body}\n')
    path.chmod(0o700)
    return path


async def test_program_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    program = _program(tmp_path, "echo it cannot be; exit 3")
    settings = BrokerSettings(port=0, binary=program)
    with pytest.raises(BrokerError, match=r"ended at once with status 3: it cannot be\. See "):
        async with Broker(tmp_path / "broker", settings=settings, rng=Random(1)):
            pytest.fail("started without a broker")


async def test_program_that_never_answers_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analyzer.broker.supervisor._READY_S", 0.3)
    program = _program(tmp_path, "echo $$; trap '' TERM; while :; do sleep 0.01; done")
    monkeypatch.setattr("analyzer.broker.process._STOP_S", 0.1)
    broker = Broker(
        tmp_path / "broker", settings=BrokerSettings(port=0, binary=program), rng=Random(1)
    )
    with pytest.raises(BrokerError, match=r"does not answer on 127\.0\.0\.1"):
        await broker.__aenter__()
    assert not broker.is_running
    assert not _is_alive(int((tmp_path / "broker" / "broker.out").read_text().split()[0]))


async def test_folder_that_cannot_be_made_is_named(
    tmp_path: Path, settings: BrokerSettings
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BrokerError, match=r"cannot be started: .*Not a directory"):
        async with Broker(tmp_path / "file" / "broker", settings=settings, rng=Random(1)):
            pytest.fail("started without a folder")


async def test_restart_is_tried_until_the_port_is_free_again(
    tmp_path: Path, settings: BrokerSettings, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        Broker(tmp_path, settings=settings, rng=Random(1)) as broker,
        asyncio.TaskGroup() as group,
    ):
        os.kill(_pid(tmp_path), signal.SIGKILL)
        await _until(lambda: not broker.is_running)
        with socket.create_server((broker.host, broker.port)):
            watch = group.create_task(broker.supervise(), name="broker.supervise")
            await _until(lambda: "broker.cannot_restart" in caplog.text)
        await _until(lambda: broker.restarts == 1)
        assert broker.is_running
        watch.cancel()


def _names(folder: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


async def test_old_logs_are_deleted(tmp_path: Path, settings: BrokerSettings) -> None:
    for number in range(9):
        (tmp_path / f"broker.log.2026.01.0{number}").touch()
    async with Broker(tmp_path, settings=settings, rng=Random(1)):
        left = _names(tmp_path, "broker.log.*")
    assert left == [f"broker.log.2026.01.0{number}" for number in (6, 7, 8)]


async def test_network_address_is_warned_about(
    tmp_path: Path,
    settings: BrokerSettings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("analyzer.broker.supervisor.is_open_to_network", lambda _host: True)
    async with Broker(tmp_path, settings=settings, rng=Random(1)):
        assert "broker.open_without_password" in caplog.text


async def test_missing_program_is_named_with_its_remedy(tmp_path: Path) -> None:
    settings = BrokerSettings(port=0, binary=tmp_path / "nats-server")
    with pytest.raises(
        BrokerError, match=r"cannot be run: No such file or directory\. Install one"
    ):
        async with Broker(tmp_path, settings=settings, rng=Random(1)):
            pytest.fail("started without a program")
