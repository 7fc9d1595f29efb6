"""Notices on the broker that carries telemetry: CloudEvents below ``proctor/v1/notifications``.

In: notices to topics. Out: messages that the broker has acknowledged (QoS 1).
"""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from analyzer.errors import DeliveryError
from analyzer.notify.cloud_event import cloud_event
from analyzer.notify.destination import Destination
from analyzer.notify.notice import Notice
from rules.telemetry import topics

if TYPE_CHECKING:
    import aiomqtt

    from analyzer.ingest.mqtt import BrokerAddress

NOTIFICATIONS: Final = f"{topics.ROOT}/notifications"
TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}")
_TIMEOUT_S: Final = 10.0


class MqttNotifier:
    """Publishes to one broker, over a connection that lasts until it fails."""

    def __init__(self, broker: BrokerAddress, *, timeout_s: float = _TIMEOUT_S) -> None:
        """Prepare; the first delivery connects.

        A broker that is gone shows by the time-out alone: aiomqtt's publish does not watch.
        """
        self._broker = broker
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._client: aiomqtt.Client | None = None

    async def deliver(self, notice: Notice, to: Destination) -> None:
        """Publish a notice, and wait for the broker's word that it has it.

        Raises:
            DeliveryError: The broker cannot be reached, or does not acknowledge in time.
        """
        import aiomqtt

        async with self._lock:
            try:
                client = await self._connected()
                await client.publish(
                    f"{NOTIFICATIONS}/{to.address}",
                    cloud_event(notice),
                    qos=1,
                    timeout=self._timeout_s,
                )
            except aiomqtt.MqttError as error:
                await self._disconnect()
                raise DeliveryError(f"MQTT: {error}") from error

    async def close(self) -> None:
        """Disconnect."""
        async with self._lock:
            await self._disconnect()

    async def _connected(self) -> aiomqtt.Client:
        import aiomqtt

        if self._client is None:
            self._client = await self._stack.enter_async_context(
                aiomqtt.Client(
                    self._broker.host,
                    self._broker.port,
                    username=self._broker.username,
                    password=self._broker.password,
                    timeout=self._timeout_s,
                )
            )
        return self._client

    async def _disconnect(self) -> None:
        import aiomqtt

        self._client = None
        stack, self._stack = self._stack, AsyncExitStack()
        try:
            await stack.aclose()
        except aiomqtt.MqttError:  # the connection is gone already, which is what is wanted
            return
