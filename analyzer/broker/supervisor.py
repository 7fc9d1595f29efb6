"""Supervisor of the embedded broker: up before anything needs it, and up again when it dies.

In: settings and a folder. Out: an MQTT 3.1.1 broker on one port for as long as the context lasts.
What it has acknowledged is in the folder's store and survives kill -9 of broker and analyzer.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from analyzer.broker.binary import BrokerBinary, find_binary
from analyzer.broker.config import LOG_FILES, BrokerSettings, render_config
from analyzer.broker.port import answers_mqtt, is_open_to_network, take_port
from analyzer.broker.process import end_leftover, start_process, stop_process, write_identity
from analyzer.errors import BrokerError

_LOG = logging.getLogger(__name__)
_READY_S = 10.0  # from start to the first answer; it takes some 30 ms
_POLL_S = 0.01
_FREE_PORT_TRIES = 3  # somebody may take a free port between our look and the broker's start
_BACKOFF_MIN_S = 0.1
_BACKOFF_MAX_S = 10.0
_STABLE_S = 30.0  # a broker that lived this long has earned a quick restart
_TAIL_BYTES = 4_096  # of the log, read for its last error


class Broker:
    """The broker as a context: it answers on entry and is gone on exit.

    ``supervise`` restarts it meanwhile and belongs in a task of the caller::

        async with Broker(folder, settings=settings, rng=rng) as broker, TaskGroup() as group:
            group.create_task(broker.supervise(), name="broker.supervise")

    Attributes:
        host: Where it listens for MQTT.
        port: Its port; with port 0 in the settings, the free one that was found.
        restarts: How often it was started again.
    """

    def __init__(self, folder: Path, *, settings: BrokerSettings, rng: Random) -> None:
        """Describe a broker; nothing happens before entry.

        Args:
            folder: Its configuration, store and log. The caller sees to it that no other analyzer
                uses it.
            settings: How it runs.
            rng: Jitter of restarts.
        """
        self.host = settings.host
        self.port = settings.port
        self.restarts = 0
        self._folder = folder.absolute()
        self._settings = settings
        self._rng = rng
        self._password = secrets.token_hex(16)
        self._binary: BrokerBinary | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._started_s = 0.0
        self._backoff_s = _BACKOFF_MIN_S
        self._is_leaving = False

    @property
    def is_running(self) -> bool:
        """Whether the process lives at this moment."""
        return self._process is not None and self._process.returncode is None

    async def __aenter__(self) -> Self:
        """Start it, after ending one that a killed analyzer left behind.

        Raises:
            BrokerError: It cannot be started; the message names the reason and the remedy.
        """
        self._binary = await asyncio.to_thread(find_binary, self._settings.binary)
        if await asyncio.to_thread(end_leftover, self._identity_path):
            _LOG.warning("broker.leftover_ended", extra={"folder": str(self._folder)})
        for tries_left in reversed(range(_FREE_PORT_TRIES)):
            self.port = await asyncio.to_thread(take_port, self._settings.host, self._settings.port)
            try:
                await self._start()
                break
            except BrokerError:
                if self._settings.port or not tries_left:
                    raise
        _LOG.info("broker.ready", extra={"host": self.host, "port": self.port})
        if is_open_to_network(self.host):
            _LOG.warning("broker.open_without_password", extra={"host": self.host})
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it: in order, or by force after five seconds."""
        self._is_leaving = True
        await self._stop()

    async def supervise(self) -> None:
        """Start it again each time it dies; ends by cancellation, or when the context is left."""
        while self._process is not None and not self._is_leaving:
            status = await self._process.wait()
            if not self._is_leaving:
                says = await asyncio.to_thread(self._last_error, self._process.pid)
                _LOG.warning("broker.died", extra={"status": status, "says": says})
                await self._restart()

    async def _restart(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._started_s > _STABLE_S:
            self._backoff_s = _BACKOFF_MIN_S
        while not self._is_leaving:
            await asyncio.sleep(self._rng.uniform(self._backoff_s / 2, self._backoff_s))
            self._backoff_s = min(_BACKOFF_MAX_S, 2 * self._backoff_s)
            try:
                await self._start()
            except BrokerError as error:
                _LOG.error("broker.cannot_restart", extra={"reason": str(error)})
                continue
            self.restarts += 1
            _LOG.info("broker.restarted", extra={"restarts": self.restarts})
            return

    async def _start(self) -> None:
        binary = self._binary
        assert binary is not None, "the binary is found on entry"  # noqa: S101
        try:
            config = await asyncio.to_thread(self._write_config, binary)
            command = (str(binary.path.absolute()), "--config", str(config))
            process = await start_process(command, output=self._output_path)
        except OSError as error:
            raise BrokerError(f"The broker cannot be started: {error}") from error
        self._process = process
        self._started_s = asyncio.get_running_loop().time()
        try:
            await asyncio.to_thread(
                write_identity, self._identity_path, process.pid, executable=binary.path
            )
            await self._wait_until_ready(process)
        except BaseException:
            await self._stop()
            raise

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> None:
        why = f"does not answer on {self.host}:{self.port} after {_READY_S:.0f} s"
        try:
            async with asyncio.timeout(_READY_S):
                while process.returncode is None:
                    if await answers_mqtt(self.host, self.port):
                        return
                    await asyncio.sleep(_POLL_S)
            why = f"ended at once with status {process.returncode}"
        except TimeoutError:
            pass
        says = await asyncio.to_thread(self._last_error, process.pid)
        raise BrokerError(f"The broker {why}: {says or 'it says nothing'}. See {self._log_path}.")

    async def _stop(self) -> None:
        if self._process is not None:
            await stop_process(self._process)
            await asyncio.to_thread(self._identity_path.unlink, missing_ok=True)

    def _write_config(self, binary: BrokerBinary) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Programs before 2.10 rotate their log without an end.
        for old in sorted(self._folder.glob(f"{self._log_path.name}.*"))[:-LOG_FILES]:
            old.unlink(missing_ok=True)
        path = self._folder / "broker.conf"
        text = render_config(
            self._settings,
            port=self.port,
            folder=self._folder,
            binary=binary,
            password=self._password,
        )
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def _last_error(self, pid: int) -> str:
        """Return the last line by which the process says that something is wrong."""
        lines = [*_tail(self._output_path), *_tail(self._log_path)]
        bad = [
            line for line in lines if f"[{pid}]" in line and ("[FTL]" in line or "[ERR]" in line)
        ]
        return (bad or _tail(self._output_path) or [""])[-1]

    @property
    def _identity_path(self) -> Path:
        return self._folder / "broker.pid"

    @property
    def _log_path(self) -> Path:
        return self._folder / "broker.log"

    @property
    def _output_path(self) -> Path:
        return self._folder / "broker.out"


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
