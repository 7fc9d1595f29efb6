"""The desk of routes: keeps them, and tries them out.

In: what an operator wants. Out: routes in the store; of a trial, what came of it. A trial goes the
way of every notice, through the outbox and the server.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from analyzer.errors import RouteError
from analyzer.model import DomainEvent, EventKind, OutboxMessage, Route
from analyzer.store.telling import message_to

if TYPE_CHECKING:
    from analyzer.store.protocol import Store
    from rules.telemetry import Clock

_LOOK_S: Final = 0.1  # between looks at what became of a trial
_PATIENCE_S: Final = 90.0  # a destination that failed before may rest for a minute


class RouteDesk:
    """Routes of one store."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        """Use a store that is open."""
        self._store = store
        self._clock = clock

    async def add(self, route: Route) -> None:
        """Keep a route.

        Raises:
            RouteError: Its name is taken.
        """
        async with self._store.writing() as rows:
            if any(kept.name == route.name for kept in await rows.events.routes()):
                raise RouteError(f"there is a route {route.name} already; remove it first")
            await rows.events.put_route(route)

    async def all(self) -> list[Route]:
        """Return every route, by name."""
        async with self._store.reading() as rows:
            return await rows.events.routes()

    async def remove(self, name: str) -> None:
        """Forget a route; what waits for it is given up.

        Raises:
            RouteError: There is none of that name.
        """
        async with self._store.writing() as rows:
            if not await rows.events.delete_route(name):
                raise _absent(name)

    async def try_out(self, name: str) -> OutboxMessage:
        """Send a trial over a route; return its message with what became of it.

        Raises:
            RouteError: There is no such route, or the server did not deal with it in time.
        """
        event = DomainEvent(
            kind=EventKind.OTHER, at_us=self._clock.now_us(), template_arn="", target_arn=""
        )
        trial = replace(message_to(event, route=name), id=secrets.token_hex(16))
        async with self._store.writing() as rows:
            if not any(kept.name == name for kept in await rows.events.routes()):
                raise _absent(name)
            await rows.events.send([trial])
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._outcome(trial.id)
        except TimeoutError as error:
            raise RouteError(
                f"no outcome in {_PATIENCE_S:g} s; look at the server's log"
            ) from error

    async def _outcome(self, message_id: str) -> OutboxMessage:
        while True:
            async with self._store.reading() as rows:
                kept = await rows.events.message(message_id)
            if kept is not None and kept.attempts:
                return await self._ended(kept)
            await asyncio.sleep(_LOOK_S)

    async def _ended(self, trial: OutboxMessage) -> OutboxMessage:
        """Return a trial that is not repeated."""
        ended = replace(trial, next_attempt_us=None)
        async with self._store.writing() as rows:
            await rows.events.save_message(ended)
        return ended


def _absent(name: str) -> RouteError:
    return RouteError(f"there is no route {name}; list them with 'proctor notify list'")
