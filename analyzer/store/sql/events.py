"""Rows of subscriptions, routes and the outbox."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, exists, func, or_, select, update

from analyzer.model import EventKind, OutboxMessage, PublishStatus, Route, Subscription
from analyzer.store import schema
from analyzer.store.sql.session import Session, from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import RowMapping

_subscriptions, _routes, _outbox = schema.subscriptions, schema.routes, schema.outbox


class SqlEvents:
    """Who is told what, and the messages on their way."""

    def __init__(self, session: Session) -> None:
        """Use a transaction."""
        self._session = session

    async def subscribe(self, subscription: Subscription) -> None:
        """Insert a subscription; one that exists stays as it is."""
        values = {**asdict(subscription), "event": subscription.event.value}
        key = ["template_arn", "event", "topic_arn"]
        await self._session.upsert(_subscriptions, values, key=key, replaces=False)

    async def unsubscribe(self, template_arn: str, event: EventKind, topic_arn: str) -> bool:
        """Remove a subscription; return whether it was there."""
        statement = delete(_subscriptions).where(
            _subscriptions.c.template_arn == template_arn,
            _subscriptions.c.event == event.value,
            _subscriptions.c.topic_arn == topic_arn,
        )
        return bool(await self._session.write(statement))

    async def subscriptions(self, template_arn: str = "") -> list[Subscription]:
        """Return the subscriptions of a template, or all, oldest first."""
        statement = select(_subscriptions).order_by(_subscriptions.c.seq)
        if template_arn:
            statement = statement.where(_subscriptions.c.template_arn == template_arn)
        return [
            Subscription(
                template_arn=row["template_arn"],
                event=EventKind(row["event"]),
                topic_arn=row["topic_arn"],
                subscribed_us=row["subscribed_us"],
            )
            for row in await self._session.rows(statement)
        ]

    async def put_route(self, route: Route) -> None:
        """Insert or replace a route."""
        values = {
            "name": route.name,
            "url": route.url,
            "events": to_json(route.events),
            "template_arn": route.template_arn,
            "options": to_json(route.options),
            "created_us": route.created_us,
        }
        await self._session.upsert(_routes, values, key=["name"])

    async def delete_route(self, name: str) -> bool:
        """Remove a route; return whether it was there."""
        return bool(await self._session.write(delete(_routes).where(_routes.c.name == name)))

    async def routes(self) -> list[Route]:
        """Return every route, by name."""
        rows = await self._session.rows(select(_routes).order_by(_routes.c.name))
        return [_route(row) for row in rows]

    async def send(self, messages: Iterable[OutboxMessage]) -> None:
        """Put messages into the outbox; those whose id is there stay as they are."""
        rows = [
            {**asdict(message), "event": message.event.value, "status": message.status.value}
            for message in messages
        ]
        await self._session.insert_missing(_outbox, rows, key=["id"])

    async def due(
        self, now_us: int, *, limit: int, without: Collection[str] = ()
    ) -> list[OutboxMessage]:
        """Return messages that are to be tried now, oldest first; none to those left out."""
        statement = select(_outbox).where(
            _outbox.c.next_attempt_us <= now_us,
            _outbox.c.topic_arn.not_in(without),
            _outbox.c.route.not_in(without),
        )
        ordered = statement.order_by(_outbox.c.seq).limit(limit)
        return [_message(row) for row in await self._session.rows(ordered)]

    async def next_due_us(self) -> int | None:
        """Return when the next message is to be tried, or None."""
        value = await self._session.value(select(func.min(_outbox.c.next_attempt_us)))
        return None if value is None else int(value)

    async def save_message(self, message: OutboxMessage) -> None:
        """Write attempts, times, status and error of a message that exists."""
        statement = update(_outbox).where(_outbox.c.id == message.id)
        await self._session.write(
            statement.values(
                attempts=message.attempts,
                next_attempt_us=message.next_attempt_us,
                delivered_us=message.delivered_us,
                status=message.status.value,
                error=message.error,
            )
        )

    async def forget_messages(self, before_us: int) -> int:
        """Delete messages of older events, or about runs that are gone, that are not tried."""
        is_over = _outbox.c.next_attempt_us.is_(None)
        has_run = exists().where(schema.runs.c.arn == _outbox.c.run_arn)
        is_gone = and_(_outbox.c.run_arn != "", ~has_run)
        is_old = _outbox.c.created_us < before_us
        return await self._session.write(delete(_outbox).where(is_over, or_(is_old, is_gone)))

    async def forget_messages_about(self, arn: str) -> int:
        """Delete messages about a run, template or target that are not tried any more."""
        is_over = _outbox.c.next_attempt_us.is_(None)
        is_about = or_(
            _outbox.c.run_arn == arn, _outbox.c.template_arn == arn, _outbox.c.target_arn == arn
        )
        return await self._session.write(delete(_outbox).where(is_over, is_about))

    async def messages(self, run_arn: str, *, limit: int) -> list[OutboxMessage]:
        """Return the last messages to topics about a run, oldest first."""
        statement = select(_outbox).where(_outbox.c.run_arn == run_arn, _outbox.c.topic_arn != "")
        ordered = statement.order_by(_outbox.c.seq.desc()).limit(limit)
        return [_message(row) for row in reversed(await self._session.rows(ordered))]

    async def message(self, message_id: str) -> OutboxMessage | None:
        """Return a message, or None."""
        row = await self._session.row(select(_outbox).where(_outbox.c.id == message_id))
        return None if row is None else _message(row)


def _route(row: RowMapping) -> Route:
    return Route(
        name=row["name"],
        url=row["url"],
        events=from_json(row["events"], tuple[EventKind, ...]),
        template_arn=row["template_arn"],
        options=from_json(row["options"], dict[str, str]),
        created_us=row["created_us"],
    )


def _message(row: RowMapping) -> OutboxMessage:
    return OutboxMessage(
        id=row["id"],
        created_us=row["created_us"],
        event=EventKind(row["event"]),
        template_arn=row["template_arn"],
        target_arn=row["target_arn"],
        run_arn=row["run_arn"],
        finding_arn=row["finding_arn"],
        topic_arn=row["topic_arn"],
        route=row["route"],
        payload=row["payload"],
        attempts=row["attempts"],
        next_attempt_us=row["next_attempt_us"],
        delivered_us=row["delivered_us"],
        status=PublishStatus(row["status"]),
        error=row["error"],
    )
