"""Memory sink: a broker inside the process, with the same behaviour as a real one, for tests.

In: sessions of agents, and what a test says on topics. Out: the messages, kept in order. ``kill``
breaks every connection as a dead broker does, ``cut`` as a dead network; after both agents may
come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from agent.errors import SinkError
from agent.sinks import Message


class MemorySink:
    """The broker.

    Attributes:
        published: Every message that was taken, in order.
        retained: The last retained payload by topic.
        opened: Sessions that were opened.
    """

    def __init__(self, *, max_bytes: int = 1 << 20) -> None:
        """Start running and empty; a larger message breaks the connection that sends it."""
        self.max_bytes = max_bytes
        self.published: list[Message] = []
        self.retained: dict[str, bytes] = {}
        self.opened = 0
        self._is_up = True
        self._sessions: list[MemorySession] = []
        self._arrived = asyncio.Event()

    @asynccontextmanager
    async def open(self, *, topics: Sequence[str], will: Message) -> AsyncIterator[MemorySession]:
        """Connect and subscribe."""
        await asyncio.sleep(0)
        if not self._is_up:
            raise SinkError("broker memory: connection refused")
        session = MemorySession(self, topics=frozenset(topics), will=will)
        self._sessions.append(session)
        self.opened += 1
        for topic in topics:
            await session.ask(topic)
        try:
            yield session
        finally:
            if session in self._sessions:
                self._sessions.remove(session)

    def take(self, message: Message, *, retain: bool = False) -> None:
        """Publish a message, as any client would."""
        self.published.append(message)
        if retain and message.payload:
            self.retained[message.topic] = message.payload
        elif retain:
            self.retained.pop(message.topic, None)
        for session in self._sessions:
            session.receive(message)
        self._arrived.set()

    def on_topic(self, topic: str) -> list[bytes]:
        """Return the payloads that were published on a topic, in order."""
        return [message.payload for message in self.published if message.topic == topic]

    async def wait_for(self, topic: str, count: int) -> list[bytes]:
        """Return the payloads of a topic once there are ``count`` of them."""
        while len(self.on_topic(topic)) < count:
            self._arrived.clear()
            await self._arrived.wait()
        return self.on_topic(topic)

    def kill(self) -> None:
        """Break every connection, publish no will, and refuse new ones."""
        self._is_up = False
        for session in self._sessions:
            session.break_off()
        self._sessions.clear()

    def cut(self) -> None:
        """Break every connection as a network does: the broker speaks the wills."""
        broken = self._sessions.copy()
        self._sessions.clear()
        for session in broken:
            session.break_off()
            self.take(session.will, retain=True)

    def start(self) -> None:
        """Take connections again; what was retained is still there."""
        self._is_up = True


class MemorySession:
    """One connection."""

    def __init__(self, sink: MemorySink, *, topics: frozenset[str], will: Message) -> None:
        """Connect to ``sink``."""
        self.will = will
        self._sink = sink
        self._topics = topics
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(10_000)  # full: the test fails
        self._is_broken = False

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Yield what comes in."""
        while (message := await self._queue.get()) is not None:
            yield message
        raise SinkError("broker memory: connection lost")

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send a message."""
        await asyncio.sleep(0)
        if len(payload) > self._sink.max_bytes:
            self.break_off()
        if self._is_broken:
            # As over a network: no answer ever comes; the reader is who notices.
            await asyncio.Event().wait()
        self._sink.take(Message(topic, payload), retain=retain)

    async def ask(self, topic: str) -> None:
        """Have what is retained on a topic sent once more."""
        if topic in self._sink.retained:
            self.receive(Message(topic, self._sink.retained[topic], is_retained=True))

    def receive(self, message: Message) -> None:
        """Take a message that the broker sends, if it is one of this session's topics."""
        if message.topic in self._topics:
            self._queue.put_nowait(message)

    def break_off(self) -> None:
        """Lose the connection."""
        self._is_broken = True
        self._queue.put_nowait(None)
