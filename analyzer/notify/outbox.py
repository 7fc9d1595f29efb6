"""The outbox as the dispatcher sees it: messages that are due, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from analyzer.model import OutboxMessage, Route
    from analyzer.store.protocol import Store


class Outbox(Protocol):
    """Where messages wait; they were put there with the change that they tell."""

    async def due(
        self, now_us: int, *, limit: int, without: Collection[str]
    ) -> list[OutboxMessage]:
        """Return messages to be tried now, oldest first; none to the topics or routes named."""
        ...

    async def save(self, message: OutboxMessage) -> None:
        """Write attempts, times, status and error of a message."""
        ...

    async def route(self, name: str) -> Route | None:
        """Return a route, or None if it is gone."""
        ...

    async def forget(self, before_us: int) -> None:
        """Delete messages of older events that are delivered or given up."""
        ...


class MemoryOutbox:
    """An outbox without a disk, for tests."""

    def __init__(self) -> None:
        """Start empty."""
        self.messages: dict[str, OutboxMessage] = {}
        self.routes: dict[str, Route] = {}

    async def due(
        self, now_us: int, *, limit: int, without: Collection[str]
    ) -> list[OutboxMessage]:
        """Return messages to be tried now, oldest first."""
        found = [
            message
            for message in self.messages.values()
            if message.next_attempt_us is not None
            and message.next_attempt_us <= now_us
            and (message.topic_arn or message.route) not in without
        ]
        return sorted(found, key=lambda message: message.created_us)[:limit]

    async def save(self, message: OutboxMessage) -> None:
        """Replace a message."""
        self.messages[message.id] = message

    async def route(self, name: str) -> Route | None:
        """Return a route, or None."""
        return self.routes.get(name)

    async def forget(self, before_us: int) -> None:
        """Delete messages of older events that are over."""
        self.messages = {
            name: message
            for name, message in self.messages.items()
            if message.next_attempt_us is not None or message.created_us >= before_us
        }


class StoreOutbox:
    """The outbox of a store."""

    def __init__(self, store: Store) -> None:
        """Use a store that is open."""
        self._store = store

    async def due(
        self, now_us: int, *, limit: int, without: Collection[str]
    ) -> list[OutboxMessage]:
        """Return messages to be tried now, oldest first."""
        async with self._store.reading() as rows:
            return await rows.events.due(now_us, limit=limit, without=without)

    async def save(self, message: OutboxMessage) -> None:
        """Write what became of a message."""
        async with self._store.writing() as rows:
            await rows.events.save_message(message)

    async def route(self, name: str) -> Route | None:
        """Return a route, or None."""
        async with self._store.reading() as rows:
            return next((route for route in await rows.events.routes() if route.name == name), None)

    async def forget(self, before_us: int) -> None:
        """Delete messages of older events that are over."""
        async with self._store.writing() as rows:
            await rows.events.forget_messages(before_us)
