"""Sinks: where an agent's messages go. One protocol; MQTT in earnest, memory for tests.

In: topics and payloads. Out: the same at a broker, QoS 1, and the messages of the topics that the
agent listens to. A session is sound until it raises ``SinkError``; then a new one is opened.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """A topic and what was or is to be said on it.

    ``is_retained`` marks what had been said before this session asked. A broker may hand it out
    after something newer.
    """

    topic: str
    payload: bytes
    is_retained: bool = False


class Session(Protocol):
    """An open connection to a broker."""

    def messages(self) -> AsyncGenerator[Message, None]:
        """Yield what comes in, for as long as the connection lives.

        Whoever publishes must read as well, in a task beside: only the reader learns at once that
        the connection is lost.

        Raises:
            SinkError: The connection is lost.
        """
        ...

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send a message at least once; returns when the broker has it.

        Raises:
            SinkError: The broker does not answer in time, or the connection is lost.
        """
        ...

    async def ask(self, topic: str) -> None:
        """Have what is retained on a topic of this session sent once more.

        Raises:
            SinkError: The broker does not answer in time, or the connection is lost.
        """
        ...


class Sink(Protocol):
    """A broker that can be connected to, one session after another."""

    def open(self, *, topics: Sequence[str], will: Message) -> AbstractAsyncContextManager[Session]:
        """Connect and subscribe to ``topics`` with QoS 1.

        Args:
            topics: Topics of this agent.
            will: Retained message that the broker publishes if the connection breaks.

        Raises:
            SinkError: The broker is not reached or refuses.
        """
        ...
