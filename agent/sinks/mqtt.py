"""MQTT sink: the one place that knows aiomqtt.

In: settings of the broker. Out: sessions, MQTT 3.1.1, QoS 1. Only on asyncio's own event loop: on
uvloop a client may not notice for many seconds that its broker is gone (see the integration test).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiomqtt

from agent.config import Settings
from agent.errors import ConfigError, SinkError
from agent.sinks import Message

QOS = 1
_SUCCESS = 0  # what paho returns while all is well
KEEPALIVE_LOOKS = 10  # at the keepalive's clock while it passes once
LONGEST_LOOK_S = 5.0
T = TypeVar("T")


class MqttSink:
    """The broker that the settings name."""

    def __init__(self, settings: Settings, *, identifier: str, password: str | None = None) -> None:
        """Describe the broker; nothing is opened yet.

        Args:
            settings: URL, certificates, user name and times.
            identifier: MQTT client id; a second client of the same name throws out the first.
            password: Password of the settings' user.

        Raises:
            ConfigError: A certificate or key cannot be used.
        """
        self._settings = settings
        self._identifier = identifier
        self._password = password
        self._tls = _tls_context(settings) if settings.is_tls else None

    @asynccontextmanager
    async def open(self, *, topics: Sequence[str], will: Message) -> AsyncIterator[MqttSession]:
        """Connect and subscribe."""
        client = self._client(will)
        _notice_early_end(client)
        try:
            async with client:
                await _subscribe(client, topics)
                yield MqttSession(client)
        except aiomqtt.MqttError as error:
            raise SinkError(f"broker {self._settings.broker_url}: {error}") from error
        finally:
            _let_go(client)

    def _client(self, will: Message) -> aiomqtt.Client:
        host, port = self._settings.broker_address
        client = _CalmClient(
            host,
            port,
            identifier=self._identifier,
            username=self._settings.broker_username or None,
            password=self._password,
            clean_session=True,  # what was missed is sent again anyway, and control is retained
            will=aiomqtt.Will(will.topic, will.payload, qos=QOS, retain=True),
            keepalive=self._settings.keepalive_s,
            timeout=self._settings.connect_timeout_s,
            tls_context=self._tls,
        )
        # A connection is made in a thread, which nothing but this can end.
        client._client.connect_timeout = self._settings.connect_timeout_s  # noqa: SLF001
        return client


class _CalmClient(aiomqtt.Client):
    """A client that wakes up for its keepalive alone, and not each second."""

    async def _misc_loop(self) -> None:
        pause_s = min(max(1.0, self._keepalive / KEEPALIVE_LOOKS), LONGEST_LOOK_S)
        while self._client.loop_misc() == _SUCCESS:  # noqa: ASYNC110
            await asyncio.sleep(pause_s)


class MqttSession:
    """One connection of an aiomqtt client."""

    def __init__(self, client: aiomqtt.Client) -> None:
        """Use a client that is connected."""
        self._client = client

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Yield what comes in."""
        # aiomqtt's queue has no bound, because a full one drops silently. It holds only what the
        # analyzer says to this agent, and the broker keeps no more than its in-flight window open.
        try:
            async for message in self._client.messages:
                yield Message(str(message.topic), message.payload, message.retain)
        except aiomqtt.MqttError as error:
            raise SinkError(str(error)) from error

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send a message."""
        sending = self._client.publish(topic, payload, qos=QOS, retain=retain)
        try:
            await _unless_lost(self._client, sending)
        except aiomqtt.MqttError as error:
            raise SinkError(str(error)) from error

    async def ask(self, topic: str) -> None:
        """Subscribe again, upon which a broker sends what is retained."""
        try:
            await _subscribe(self._client, [topic])
        except aiomqtt.MqttError as error:
            raise SinkError(str(error)) from error


def _notice_early_end(client: aiomqtt.Client) -> None:
    """Let a connection that ends before the broker has answered fail at once.

    aiomqtt 2.5 would wait for its whole timeout. It happens whenever an agent comes back while its
    broker is going down or up.
    """
    loop = asyncio.get_running_loop()
    tell_aiomqtt: Any = client._client.on_disconnect  # noqa: SLF001

    def fail() -> None:
        if not client._connected.done():  # noqa: SLF001
            error = aiomqtt.MqttError("the connection ended before the broker answered")
            client._connected.set_exception(error)  # noqa: SLF001
            client._connected.exception()  # noqa: SLF001 (nobody may be waiting any more)

    def on_disconnect(*arguments: object) -> None:
        tell_aiomqtt(*arguments)
        loop.call_soon_threadsafe(fail)  # paho connects in a thread

    client._client.on_disconnect = on_disconnect  # noqa: SLF001


async def _subscribe(client: aiomqtt.Client, topics: Sequence[str]) -> None:
    if not topics:
        return
    wanted = [(topic, QOS) for topic in topics]
    granted = await _unless_lost(client, client.subscribe(wanted))
    for topic, code in zip(topics, granted, strict=True):
        if getattr(code, "is_failure", False):
            raise SinkError(f"the broker refuses the subscription of {topic}: {code}")


async def _unless_lost(client: aiomqtt.Client, waiting: Coroutine[Any, Any, T]) -> T:
    """Return what ``waiting`` returns, or raise as soon as the connection is lost.

    aiomqtt itself waits for its whole timeout. It waits in a task of its own, because until Python
    3.12 the ``asyncio.wait_for`` that it uses swallows a cancellation that comes together with the
    answer: whoever was cancelled would go on forever.
    """
    task = asyncio.ensure_future(waiting)
    lost = client._disconnected  # noqa: SLF001
    try:
        await asyncio.wait((task, lost), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise SinkError("the connection to the broker is lost")
    finally:
        task.cancel()
    return task.result()


def _let_go(client: aiomqtt.Client) -> None:
    """Leave nothing behind of a session, however it ended."""
    # When no answer to CONNECT comes, aiomqtt leaves its socket and a task behind.
    client._client.disconnect()  # noqa: SLF001
    for state in (client._connected, client._disconnected):  # noqa: SLF001
        if state.done() and not state.cancelled():
            state.exception()  # an error that nobody asks for would be logged as forgotten


def _tls_context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.broker_ca_file or None)
        if settings.broker_cert_file:
            context.load_cert_chain(settings.broker_cert_file, settings.broker_key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"certificates for {settings.broker_url} cannot be used: {error}"
        ) from error
    return context
