"""Serving: one process from a data folder to a running server, and back down in order.

In: settings. Out: a broker (embedded, or one by URL), a store and a server that work until told to
stop. Only asyncio's own event loop will do: on uvloop the MQTT client may miss that its broker is
gone.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from analyzer.broker import Broker, BrokerSettings
from analyzer.data_folder import DataFolder, ServerNote
from analyzer.errors import BrokerError
from analyzer.ingest.mqtt import BrokerAddress
from analyzer.server import Server
from analyzer.store import open_store
from rules.telemetry.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.loader import Package

_DEFAULT_PORT = 1883


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """How to serve.

    Attributes:
        folder: Where everything is kept.
        packages: The rules packages that runs may name.
        embedded: The embedded broker's settings; None = use ``broker``.
        broker: A broker that runs elsewhere.
    """

    folder: DataFolder
    packages: list[Package]
    embedded: BrokerSettings | None = None
    broker: BrokerAddress | None = None


async def serve(settings: ServeSettings, *, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``on_ready`` is told the broker's URL.

    Raises:
        AnalyzerError: The folder, the store or the broker cannot be used.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    rng = Random()
    async with AsyncExitStack() as stack:
        stack.enter_context(settings.folder.locked())
        store = await open_store(settings.folder.store)
        stack.push_async_callback(store.close)
        address, broker = await _broker(settings, stack, rng)
        server = Server(
            store=store,
            data=settings.folder.path,
            broker=address,
            packages=settings.packages,
            clock=SystemClock(),
            rng=rng,
        )
        url = f"mqtt://{address.host}:{address.port}"
        settings.folder.write_note(ServerNote(pid=os.getpid(), broker_url=url))
        on_ready(url)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(server.run(), name="serve.server")]
            if broker is not None:
                tasks.append(group.create_task(broker.supervise(), name="serve.broker"))
            await stop.wait()
            for task in tasks:
                task.cancel()


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
