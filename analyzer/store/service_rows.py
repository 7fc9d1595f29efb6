"""Rows of the service itself: who is told what, recurring runs, what people say, single values.

``protocol.Rows`` gives them within a transaction, with those of what is assessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from analyzer.model import (
        Agent,
        EventKind,
        OutboxMessage,
        Resolution,
        Route,
        Schedule,
        Subscription,
        Suppression,
    )


class EventRows(Protocol):
    """Who is told what, and the messages on their way."""

    async def subscribe(self, subscription: Subscription) -> None:
        """Insert a subscription; one that exists stays as it is."""
        ...

    async def unsubscribe(self, template_arn: str, event: EventKind, topic_arn: str) -> bool:
        """Remove a subscription; return whether it was there."""
        ...

    async def subscriptions(self, template_arn: str = "") -> list[Subscription]:
        """Return the subscriptions of a template, or all, oldest first."""
        ...

    async def put_route(self, route: Route) -> None:
        """Insert or replace a route."""
        ...

    async def delete_route(self, name: str) -> bool:
        """Remove a route; return whether it was there."""
        ...

    async def routes(self) -> list[Route]:
        """Return every route, by name."""
        ...

    async def send(self, messages: Iterable[OutboxMessage]) -> None:
        """Put messages into the outbox; those whose id is there stay as they are."""
        ...

    async def due(
        self, now_us: int, *, limit: int, without: Collection[str] = ()
    ) -> list[OutboxMessage]:
        """Return messages that are to be tried now, oldest first.

        Those to the topics and routes of ``without`` are left out: what waits for one destination
        must not hide what others would take.
        """
        ...

    async def next_due_us(self) -> int | None:
        """Return when the next message is to be tried, or None."""
        ...

    async def save_message(self, message: OutboxMessage) -> None:
        """Write attempts, times, status and error of a message that exists."""
        ...

    async def forget_messages(self, before_us: int) -> int:
        """Delete messages of older events, or about runs that are gone, that are not tried.

        Those are told of what became of it after it was deleted; return how many were deleted.
        """
        ...

    async def forget_messages_about(self, arn: str) -> int:
        """Delete messages about a run, or all of a template or target, that are not tried any more.

        Those that still wait are told, whatever became of it; return how many were deleted.
        """
        ...

    async def messages(self, run_arn: str, *, limit: int) -> list[OutboxMessage]:
        """Return the last messages to topics about a run, oldest first."""
        ...

    async def message(self, message_id: str) -> OutboxMessage | None:
        """Return a message, or None."""
        ...


class ScheduleRows(Protocol):
    """Recurring runs; a schedule goes with its template."""

    async def put(self, schedule: Schedule) -> None:
        """Insert or replace a schedule."""
        ...

    async def get(self, name: str) -> Schedule | None:
        """Return a schedule, or None."""
        ...

    async def all(self) -> list[Schedule]:
        """Return every schedule, by name."""
        ...

    async def due(self, now_us: int) -> list[Schedule]:
        """Return the schedules whose time has come, by name."""
        ...

    async def delete(self, name: str) -> bool:
        """Remove a schedule; return whether it was there."""
        ...


class AgentRows(Protocol):
    """The agents that are known."""

    async def put(self, agent: Agent) -> None:
        """Insert or replace an agent."""
        ...

    async def all(self) -> list[Agent]:
        """Return every known agent, by id."""
        ...


class SettingRows(Protocol):
    """Single values, as text."""

    async def get(self, name: str) -> str | None:
        """Return a value, or None."""
        ...

    async def put(self, name: str, value: str) -> None:
        """Insert or replace a value."""
        ...

    async def all(self) -> Mapping[str, str]:
        """Return every value by its name."""
        ...


class SuppressionRows(Protocol):
    """Risks that are accepted, and issues that are called resolved."""

    async def add(self, suppression: Suppression) -> None:
        """Insert a suppression."""
        ...

    async def all(self) -> list[Suppression]:
        """Return every suppression, oldest first."""
        ...

    async def end(self, suppression_id: str, *, at_us: int) -> bool:
        """Take a suppression back; return whether it was there and had not been taken back."""
        ...

    async def put_resolution(self, resolution: Resolution) -> None:
        """Insert or replace what is said of an issue."""
        ...

    async def delete_resolution(self, issue_id: str) -> bool:
        """Remove what is said of an issue; return whether it was there."""
        ...

    async def resolutions(self) -> list[Resolution]:
        """Return every resolution, by issue."""
        ...


class ServiceRows(Protocol):
    """What is not about an assessment itself, within a transaction."""

    @property
    def agents(self) -> AgentRows:
        """Return the agents."""
        ...

    @property
    def events(self) -> EventRows:
        """Return subscriptions, routes and the outbox."""
        ...

    @property
    def schedules(self) -> ScheduleRows:
        """Return the schedules."""
        ...

    @property
    def suppressions(self) -> SuppressionRows:
        """Return what people say about findings."""
        ...

    @property
    def settings(self) -> SettingRows:
        """Return single values."""
        ...
