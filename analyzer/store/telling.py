"""Telling: who is told about an event, and the message that each of them gets.

In: an event, subscriptions of its template, routes. Out: messages for the outbox. Pure: the same
event makes the same messages with the same ids.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from analyzer.model import DomainEvent, OutboxMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analyzer.model import Route, Subscription


def messages_about(
    event: DomainEvent, subscriptions: Iterable[Subscription], routes: Iterable[Route]
) -> Iterator[OutboxMessage]:
    """Yield one message for each topic that subscribed to the event, and for each route."""
    for subscription in subscriptions:
        is_asked_for = subscription.event == event.kind
        if is_asked_for and subscription.template_arn == event.template_arn:
            yield message_to(event, topic_arn=subscription.topic_arn)
    for route in routes:
        if route.takes(event):
            yield message_to(event, route=route.name)


def message_to(event: DomainEvent, *, topic_arn: str = "", route: str = "") -> OutboxMessage:
    """Return the message about an event for one topic or route, to be tried at once."""
    name = f"{event.key}\0{topic_arn}\0{route}"
    return OutboxMessage(
        id=hashlib.sha256(name.encode()).hexdigest()[:32],
        created_us=event.at_us,
        event=event.kind,
        template_arn=event.template_arn,
        target_arn=event.target_arn,
        run_arn=event.run_arn,
        finding_arn=event.finding_arn,
        topic_arn=topic_arn,
        route=route,
        payload=msgspec.json.encode(event).decode(),
        next_attempt_us=event.at_us,
    )


def event_of(message: OutboxMessage) -> DomainEvent:
    """Return the event that a message of the outbox is about."""
    return msgspec.json.decode(message.payload, type=DomainEvent)
