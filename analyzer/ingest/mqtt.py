"""The analyzer's link to the broker: messages in, acks and control out, through any broken link.

In: an address and topic filters. Out: each message handed to one coroutine, in order. What is sent
is the latest word per topic, so a slow or absent broker needs no unbounded queue.

Runs on asyncio's own loop only: aiomqtt stalls on uvloop when a broker dies (decision D8).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import aiomqtt

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOG = logging.getLogger(__name__)
_TIMEOUT_S = 10.0  # for connecting and for each publish
_BACKOFF_MIN_S = 0.2
_BACKOFF_MAX_S = 10.0
_KEEPALIVE_S = 15  # a dead link is noticed within 1.5 times this


class Message(NamedTuple):
    """One message from the broker."""

    topic: str
    payload: bytes
    is_retained: bool = False
    """Whether it is an old word that the broker kept, sent because we subscribed."""


Handler = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker listens, and how to speak to it."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None


class MqttLink:
    """One client that stays connected; use ``run`` in a task and ``send`` from anywhere."""

    def __init__(
        self, address: BrokerAddress, *, client_id: str, filters: Sequence[str], rng: Random
    ) -> None:
        """Describe the link; nothing happens before ``run``."""
        self._address = address
        self._client_id = client_id
        self._filters = tuple(filters)
        self._rng = rng
        self._retained: dict[str, bytes] = {}
        self._outbox: dict[str, bytes] = {}  # one entry per topic: bounded by the known agents
        self._has_mail = asyncio.Event()
        self.is_connected = False
        self.connects = 0

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send soon, at least once; a later word on the same topic replaces an unsent one."""
        if retain:
            self._retained[topic] = payload
        self._outbox[topic] = payload
        self._has_mail.set()

    async def run(self, handle: Handler) -> None:
        """Hand every message to ``handle``, and reconnect for ever; ends only by cancellation."""
        backoff_s = _BACKOFF_MIN_S
        while True:
            connects = self.connects
            try:
                await self._session(handle)
            except* aiomqtt.MqttError as errors:
                reason = errors.exceptions[0]
                _LOG.warning("link.lost", extra={"reason": str(reason), "next_s": backoff_s})
            finally:
                self.is_connected = False
            if self.connects > connects:
                backoff_s = _BACKOFF_MIN_S
            await asyncio.sleep(self._rng.uniform(0, backoff_s))
            backoff_s = min(_BACKOFF_MAX_S, backoff_s * 2)

    async def _session(self, handle: Handler) -> None:
        async with aiomqtt.Client(
            self._address.host,
            self._address.port,
            username=self._address.username,
            password=self._address.password,
            identifier=self._client_id,
            clean_session=False,  # the broker keeps what comes while the analyzer is away
            timeout=_TIMEOUT_S,
            keepalive=_KEEPALIVE_S,
        ) as client:
            for topic_filter in self._filters:
                await client.subscribe(topic_filter, qos=1)
            self.is_connected = True
            self.connects += 1
            _LOG.info("link.connected", extra={"host": self._address.host})
            self._outbox = {**self._retained, **self._outbox}
            self._has_mail.set()
            # The reader fails as soon as the connection does, and takes the writer with it:
            # aiomqtt's publish does not watch the connection itself.
            async with asyncio.TaskGroup() as group:
                group.create_task(_read(client, handle), name="link.read")
                group.create_task(self._write(client), name="link.write")

    async def _write(self, client: aiomqtt.Client) -> None:
        while True:
            await self._has_mail.wait()
            self._has_mail.clear()
            outbox, self._outbox = self._outbox, {}
            for topic, payload in outbox.items():
                try:
                    await client.publish(
                        topic, payload, qos=1, retain=topic in self._retained, timeout=_TIMEOUT_S
                    )
                except BaseException:
                    self._outbox = {topic: payload, **outbox, **self._outbox}
                    raise


async def _read(client: aiomqtt.Client, handle: Handler) -> None:
    async for message in client.messages:
        await handle(Message(str(message.topic), message.payload, message.retain))
