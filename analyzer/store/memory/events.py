"""Subscriptions, routes, the outbox, agents and single values in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from analyzer.model import Agent, EventKind, OutboxMessage, Route, Subscription
    from analyzer.store.memory.state import State


class MemoryEvents:
    """Who is told what, and the messages on their way."""

    def __init__(self, state: State) -> None:
        """Use a state."""
        self._state = state

    async def subscribe(self, subscription: Subscription) -> None:
        """Insert a subscription; one that exists stays as it is."""
        key = (subscription.template_arn, subscription.event.value, subscription.topic_arn)
        self._state.subscriptions.setdefault(key, subscription)

    async def unsubscribe(self, template_arn: str, event: EventKind, topic_arn: str) -> bool:
        """Remove a subscription; return whether it was there."""
        key = (template_arn, event.value, topic_arn)
        return self._state.subscriptions.pop(key, None) is not None

    async def subscriptions(self, template_arn: str = "") -> list[Subscription]:
        """Return the subscriptions of a template, or all, oldest first."""
        kept = self._state.subscriptions.values()
        return [item for item in kept if not template_arn or item.template_arn == template_arn]

    async def put_route(self, route: Route) -> None:
        """Insert or replace a route."""
        self._state.routes[route.name] = route

    async def delete_route(self, name: str) -> bool:
        """Remove a route; return whether it was there."""
        return self._state.routes.pop(name, None) is not None

    async def routes(self) -> list[Route]:
        """Return every route, by name."""
        return [self._state.routes[name] for name in sorted(self._state.routes)]

    async def send(self, messages: Iterable[OutboxMessage]) -> None:
        """Put messages into the outbox; those whose id is there stay as they are."""
        for message in messages:
            self._state.outbox.setdefault(message.id, message)

    async def due(
        self, now_us: int, *, limit: int, without: Collection[str] = ()
    ) -> list[OutboxMessage]:
        """Return messages that are to be tried now, oldest first; none to those left out."""
        return [
            message
            for message in self._state.outbox.values()
            if message.next_attempt_us is not None
            and message.next_attempt_us <= now_us
            and (message.topic_arn or message.route) not in without
        ][:limit]

    async def next_due_us(self) -> int | None:
        """Return when the next message is to be tried, or None."""
        times = [message.next_attempt_us for message in self._state.outbox.values()]
        return min((time for time in times if time is not None), default=None)

    async def save_message(self, message: OutboxMessage) -> None:
        """Write attempts, times, status and error of a message that exists."""
        if message.id in self._state.outbox:
            self._state.outbox[message.id] = message

    async def forget_messages(self, before_us: int) -> int:
        """Delete messages of older events, or about runs that are gone, that are not tried."""
        there = {"", *(run.arn for _, run in self._state.runs.values())}
        return self._forget(
            lambda message: message.created_us < before_us or message.run_arn not in there
        )

    async def forget_messages_about(self, arn: str) -> int:
        """Delete messages about a run, template or target that are not tried any more."""
        return self._forget(
            lambda message: arn in (message.run_arn, message.template_arn, message.target_arn)
        )

    def _forget(self, is_chosen: Callable[[OutboxMessage], bool]) -> int:
        over = [
            message.id
            for message in self._state.outbox.values()
            if message.next_attempt_us is None and is_chosen(message)
        ]
        for message_id in over:
            del self._state.outbox[message_id]
        return len(over)

    async def messages(self, run_arn: str, *, limit: int) -> list[OutboxMessage]:
        """Return the last messages to topics about a run, oldest first."""
        about = [m for m in self._state.outbox.values() if m.run_arn == run_arn and m.topic_arn]
        return about[-limit:]

    async def message(self, message_id: str) -> OutboxMessage | None:
        """Return a message, or None."""
        return self._state.outbox.get(message_id)


class MemoryAgents:
    """The agents that are known."""

    def __init__(self, state: State) -> None:
        """Use a state."""
        self._state = state

    async def put(self, agent: Agent) -> None:
        """Insert or replace an agent."""
        self._state.agents[agent.agent_id] = agent

    async def all(self) -> list[Agent]:
        """Return every known agent, by id."""
        return [self._state.agents[agent_id] for agent_id in sorted(self._state.agents)]


class MemorySettings:
    """Single values, as text."""

    def __init__(self, state: State) -> None:
        """Use a state."""
        self._state = state

    async def get(self, name: str) -> str | None:
        """Return a value, or None."""
        return self._state.settings.get(name)

    async def put(self, name: str, value: str) -> None:
        """Insert or replace a value."""
        self._state.settings[name] = value

    async def all(self) -> dict[str, str]:
        """Return every value by its name."""
        return dict(self._state.settings)
