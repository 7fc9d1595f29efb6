"""Use cases of event subscriptions, and of the account's role."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from analyzer.assessments import limits
from analyzer.assessments.checks import checked_text
from analyzer.assessments.desk import Desk
from analyzer.assessments.paging import checked_limit, page_of, text_after
from analyzer.errors import InvalidInputError, LimitExceededError
from analyzer.model import SUBSCRIBABLE, DomainEvent, EventKind, Page, Subscription
from analyzer.store import message_to

_ROLE = "cross_account_role"


@dataclass(frozen=True, slots=True)
class TopicSubscriptions:
    """What one topic is told of one template; events in the order they were subscribed to."""

    template_arn: str
    topic_arn: str
    subscriptions: tuple[Subscription, ...]


class Role(msgspec.Struct, frozen=True):
    """The role that was registered for the account; nothing here needs it."""

    arn: str
    registered_us: int


class SubscriptionDesk(Desk):
    """Who is told."""

    async def subscribe(self, template_arn: str, event: EventKind, topic_arn: str) -> None:
        """Let a topic be told of an event; it is told at once that it will be.

        A topic that is subscribed already is told nothing again.

        Raises:
            InvalidInputError: Nobody can subscribe to that event, or an ARN is none.
            NoSuchEntityError: The template does not exist.
            LimitExceededError: The template has too many subscriptions.
        """
        if event not in SUBSCRIBABLE:
            raise InvalidInputError("INVALID_EVENT", f"{event} cannot be subscribed to")
        checked_text(topic_arn, 300, code="INVALID_SNS_TOPIC_ARN", what="an ARN of a topic")
        now_us = self._clock.now_us()
        async with self._store.writing() as rows:
            template = await self._template(rows, template_arn)
            kept = await rows.events.subscriptions(template_arn)
            if any((item.event, item.topic_arn) == (event, topic_arn) for item in kept):
                return
            if len(kept) >= self.limits.subscriptions:
                most = self.limits.subscriptions
                raise LimitExceededError("EVENT_SUBSCRIPTION", most, "subscriptions of a template")
            await rows.events.subscribe(Subscription(template_arn, event, topic_arn, now_us))
            enabled = DomainEvent(
                kind=EventKind.NOTIFICATIONS_ENABLED,
                at_us=now_us,
                template_arn=template_arn,
                target_arn=template.target_arn,
            )
            await rows.events.send([message_to(enabled, topic_arn=topic_arn)])

    async def unsubscribe(self, template_arn: str, event: EventKind, topic_arn: str) -> None:
        """Let a topic not be told of an event any more; no error where it was not.

        Raises:
            InvalidInputError: The template's ARN is none.
            NoSuchEntityError: The template does not exist.
        """
        async with self._store.writing() as rows:
            await self._template(rows, template_arn)
            await rows.events.unsubscribe(template_arn, event, topic_arn)

    async def list_subscriptions(
        self, template_arn: str | None = None, *, token: str | None = None, limit: int = 50
    ) -> Page[TopicSubscriptions]:
        """Return a page of subscriptions, of one template or of all, by topic; at most 50.

        Raises:
            InvalidInputError: ARN, token or limit is none.
            NoSuchEntityError: The template does not exist.
        """
        size = checked_limit(limit, limits.MAX_SUBSCRIPTION_PAGE)
        listing = ("subscriptions", template_arn)
        after = text_after(listing, token)
        async with self._store.reading() as rows:
            if template_arn is not None:
                await self._template(rows, template_arn)
            kept = await rows.events.subscriptions(template_arn or "")
        groups: dict[tuple[str, str], list[Subscription]] = {}
        for item in kept:
            groups.setdefault((item.template_arn, item.topic_arn), []).append(item)
        # By a hash: two ARNs would not fit a token, and the order says nothing.
        ordered = sorted((_place(*key), key, items) for key, items in groups.items())
        placed = [
            ((place,), TopicSubscriptions(*key, tuple(items)))
            for place, key, items in ordered
            if place > after
        ]
        return page_of(listing, placed, size)

    async def register_role(self, role_arn: str) -> None:
        """Remember the role that Inspector would use.

        Raises:
            InvalidInputError: It is no text.
        """
        checked_text(role_arn, 300, code="INVALID_IAM_ROLE_ARN", what="an ARN of a role")
        role = Role(role_arn, self._clock.now_us())
        async with self._store.writing() as rows:
            await rows.settings.put(_ROLE, msgspec.json.encode(role).decode())

    async def role(self) -> Role | None:
        """Return the role that was registered last, or None."""
        async with self._store.reading() as rows:
            text = await rows.settings.get(_ROLE)
        return None if text is None else msgspec.json.decode(text, type=Role)


def _place(template_arn: str, topic_arn: str) -> str:
    return hashlib.sha256(f"{template_arn}\0{topic_arn}".encode()).hexdigest()[:32]
