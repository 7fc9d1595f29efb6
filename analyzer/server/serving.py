"""Serving: one process from a data folder to a running server, and back down in order.

In: settings. Out: a broker (embedded, or one by URL), a store, a server and its HTTP interface that
work until told to stop. Only asyncio's own event loop will do: on uvloop the MQTT client may miss
that its broker is gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from analyzer.arns import Arns
from analyzer.assessments import Assessments, Limits, claim, note_limits
from analyzer.broker import Broker, BrokerSettings
from analyzer.data_folder import DataFolder, ServerNote
from analyzer.engine.warming import warm_up
from analyzer.errors import AccessError, BrokerError
from analyzer.ingest.mqtt import BrokerAddress
from analyzer.notify.channels import notifiers
from analyzer.notify.dispatcher import Dispatcher
from analyzer.notify.outbox import StoreOutbox
from analyzer.runs.leftovers import keep_removing, take_possession
from analyzer.scheduler.scheduler import Scheduler
from analyzer.server.front import open_front
from analyzer.server.http import HttpListener
from analyzer.server.tasks import Server
from analyzer.store import open_store
from rules.telemetry.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from analyzer.server.front import Front
    from analyzer.store import Store
    from rules.loader import Package

_LOG = logging.getLogger(__name__)
DEFAULT_LISTEN = ("127.0.0.1", 8420)
_DEFAULT_PORT = 1883


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """How to serve.

    Attributes:
        folder: Where everything is kept.
        packages: The rules packages that runs may name.
        embedded: The embedded broker's settings; None = use ``broker``.
        broker: A broker that runs elsewhere.
        listen: Host and port of the HTTP interface.
        arns: The account and region that the server is.
        limits: How many of everything there may be.
        database: URL of the database that the store is in; None = where it was, or in the folder.
        public_url: How clients reach the HTTP interface, where that is not what it says itself.
    """

    folder: DataFolder
    packages: list[Package]
    embedded: BrokerSettings | None = None
    broker: BrokerAddress | None = None
    listen: tuple[str, int] = DEFAULT_LISTEN
    arns: Arns = field(default_factory=Arns)
    database: str | None = None
    limits: Limits = field(default_factory=Limits)
    public_url: str | None = None


async def serve(settings: ServeSettings, *, on_ready: Callable[[ServerNote], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``on_ready`` is told where the broker and the API are.

    Raises:
        AnalyzerError: The folder, the store or the broker cannot be used.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        stack.enter_context(settings.folder.locked())
        listener = HttpListener(*settings.listen)
        stack.callback(listener.close)
        store = await open_store(await asyncio.to_thread(_database, settings))
        stack.push_async_callback(store.close)
        await claim(store, settings.arns)
        await note_limits(store, settings.limits)
        if not await take_possession(store, settings.folder):
            _LOG.warning("serve.runs_of_another_store", extra={"folder": str(settings.folder.path)})
        address, broker = await _broker(settings, stack, Random())
        services = _Services(settings, store, address)
        front = await stack.enter_async_context(
            open_front(
                listener,
                folder=settings.folder,
                store=store,
                desk=services.desk,
                clock=services.clock,
                public_url=settings.public_url,
            )
        )
        url = f"mqtt://{address.host}:{address.port}"
        note = ServerNote(pid=os.getpid(), broker_url=url, api_url=listener.url)
        settings.folder.write_note(note)
        on_ready(note)
        work = {**services.work(), "keys": front.watch_keys()}
        if broker is not None:
            work["broker"] = broker.supervise()
        await _until(stop, front, work)


async def _until(
    stop: asyncio.Event, front: Front, work: Mapping[str, Coroutine[Any, Any, None]]
) -> None:
    """Do everything side by side until told to stop; requests in progress get their answer."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part, name=f"serve.{name}") for name, part in work.items()]
        http = group.create_task(front.run(), name="serve.http")
        await stop.wait()
        front.stop()
        await http
        for task in tasks:
            task.cancel()


class _Services:
    """What works on the store from within, each part on its own."""

    def __init__(self, settings: ServeSettings, store: Store, address: BrokerAddress) -> None:
        self.clock = SystemClock()
        self._settings = settings
        self._store = store
        self._address = address
        self._rng = Random()
        self.desk = Assessments(
            store,
            arns=settings.arns,
            packages=settings.packages,
            clock=self.clock,
            limits=settings.limits,
        )

    def work(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Return what is to be done as long as the server serves, by name."""
        store, clock = self._store, self.clock
        server = Server(
            store=store,
            data=self._settings.folder.path,
            broker=self._address,
            packages=self._settings.packages,
            clock=clock,
            rng=self._rng,
            arns=self._settings.arns,
            limits=self._settings.limits,
        )
        dispatcher = Dispatcher(
            outbox=StoreOutbox(store),
            notifiers=notifiers(self._address, clock=clock),
            clock=clock,
            rng=self._rng,
        )
        scheduler = Scheduler(store=store, starter=self.desk, clock=clock)
        return {
            "server": server.run(),
            "notify": dispatcher.run(),
            "scheduler": scheduler.run(),
            "leftovers": keep_removing(store, self._settings.folder),
            "warm_up": _warm_up(self._settings.packages),
        }


async def _warm_up(packages: Iterable[Package]) -> None:
    """Compile the engine's loops, beside everything else, before a run needs them."""
    rules = [rule for package in packages for rule in package.rules]
    try:
        await asyncio.to_thread(warm_up, rules)
    except Exception:  # noqa: BLE001 (the first run compiles them then)
        _LOG.exception("serve.warm_up_failed")


def _database(settings: ServeSettings) -> Path | str:
    if settings.database is not None:
        settings.folder.note_database(settings.database)
    return settings.folder.database()


def parse_broker_url(url: str) -> BrokerAddress:
    """Return the address that ``mqtt://[user:password@]host[:port]`` names.

    Raises:
        BrokerError: It is no such URL.
    """
    parts = urlsplit(url)
    try:
        port = parts.port or _DEFAULT_PORT
    except ValueError as error:
        raise BrokerError(f"{url!r} has no valid port; write mqtt://host:1883") from error
    if parts.scheme != "mqtt" or not parts.hostname:
        raise BrokerError(f"{url!r} is no broker URL; write mqtt://host:1883")
    return BrokerAddress(parts.hostname, port, parts.username, parts.password)


def parse_listen(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; an IPv6 address stands in brackets.

    Raises:
        BrokerError: It is no such place.
    """
    parts = urlsplit(f"//{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or port is None:
        raise BrokerError(f"{text!r} is no place to listen; write 127.0.0.1:1883")
    return parts.hostname, port


def arns_of(account: str, region: str) -> Arns:
    """Return who the server is.

    Raises:
        AccessError: No account has that number, or no region that name.
    """
    if not re.fullmatch(r"[0-9]{12}", account):
        raise AccessError(f"{account!r} is no AWS account; write twelve digits with --account")
    if not re.fullmatch(r"[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}", region):
        raise AccessError(f"{region!r} is no AWS region; write one as us-east-1 with --region")
    return Arns(account, region)


async def _broker(
    settings: ServeSettings, stack: AsyncExitStack, rng: Random
) -> tuple[BrokerAddress, Broker | None]:
    if settings.broker is not None:
        return settings.broker, None
    embedded = settings.embedded or BrokerSettings()
    broker = await stack.enter_async_context(
        Broker(settings.folder.broker, settings=embedded, rng=rng)
    )
    return BrokerAddress(broker.host, broker.port), broker
