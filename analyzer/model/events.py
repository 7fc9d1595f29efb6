"""Domain events, whom they are told to, and the messages that tell them.

A change of a run and its messages are written in one transaction, so that none is lost; ids are
made from what happened, so that none is told as two.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from analyzer.model.findings import SEVERITIES
from analyzer.model.runs import RunState


class EventKind(StrEnum):
    """What happens, by Inspector's names."""

    RUN_STARTED = "ASSESSMENT_RUN_STARTED"
    RUN_STATE_CHANGED = "ASSESSMENT_RUN_STATE_CHANGED"
    RUN_COMPLETED = "ASSESSMENT_RUN_COMPLETED"
    FINDING_REPORTED = "FINDING_REPORTED"
    NOTIFICATIONS_ENABLED = "ENABLE_ASSESSMENT_NOTIFICATIONS"
    """Told to a topic when it is subscribed; nobody subscribes to it."""
    OTHER = "OTHER"
    """May be subscribed to, and never happens: what tries a destination out has this kind."""


SUBSCRIBABLE = tuple(kind for kind in EventKind if kind is not EventKind.NOTIFICATIONS_ENABLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainEvent:
    """Something that happened to a run or template.

    Attributes:
        kind: What.
        at_us: When.
        template_arn: Of the run, or what was subscribed.
        target_arn: Of the template.
        run_arn: The run; empty of NOTIFICATIONS_ENABLED.
        state: The new state, of RUN_STATE_CHANGED.
        finding_arn: The finding, of FINDING_REPORTED.
        severity: Of the finding; with what follows, what a person wants to know of it.
        title: Of the finding.
        rule: Id of the rule that found it.
        agent_id: The host it is about.
        findings_count: ARN of a rules package → findings, of RUN_COMPLETED.
    """

    kind: EventKind
    at_us: int
    template_arn: str
    target_arn: str
    run_arn: str = ""
    state: RunState | None = None
    finding_arn: str = ""
    severity: str = ""
    title: str = ""
    rule: str = ""
    agent_id: str = ""
    findings_count: dict[str, int] | None = None

    @property
    def key(self) -> str:
        """Return what tells it from every other event, the same if it is made again."""
        about = self.finding_arn or self.run_arn or self.template_arn
        state = self.state.value if self.state else ""
        moment = self.at_us if self.kind is EventKind.NOTIFICATIONS_ENABLED else ""
        return f"{self.kind} {about} {state}{moment}".strip()


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic that is told about one kind of event of one template."""

    template_arn: str
    event: EventKind
    topic_arn: str
    subscribed_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A channel of the operator's that is told about events of every template, or of one.

    Attributes:
        name: Its name, unique.
        url: Where to: of a webhook, an Apprise service, an MQTT topic.
        events: Which events; empty = all.
        template_arn: Of which template; empty = of all.
        options: What the channel needs besides, such as the file of a secret; and
            ``min_severity``, the lowest that findings are told of.
        created_us: When it was added.
    """

    name: str
    url: str
    events: tuple[EventKind, ...] = ()
    template_arn: str = ""
    options: dict[str, str]
    created_us: int

    def takes(self, event: DomainEvent) -> bool:
        """Tell whether it is told about an event; of subscriptions only their topic is."""
        if event.kind is EventKind.NOTIFICATIONS_ENABLED:
            return False
        is_wanted = not self.events or event.kind in self.events
        is_ours = self.template_arn in ("", event.template_arn)
        return is_wanted and is_ours and self._is_severe(event.severity)

    def _is_severe(self, severity: str) -> bool:
        lowest = self.options.get("min_severity", "")
        if lowest not in SEVERITIES or severity not in SEVERITIES:
            return True  # no limit, or no finding
        return SEVERITIES.index(severity) <= SEVERITIES.index(lowest)


class PublishStatus(StrEnum):
    """What came of a message to a topic, by Inspector's names; empty while it is under way."""

    PENDING = ""
    SUCCESS = "SUCCESS"
    TOPIC_DOES_NOT_EXIST = "TOPIC_DOES_NOT_EXIST"
    ACCESS_DENIED = "ACCESS_DENIED"
    INTERNAL_ERROR = "INTERNAL_ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMessage:
    """An event for one topic or route, as the outbox keeps it until it is delivered or given up.

    Attributes:
        id: Made from event and destination: the same if it is written again.
        created_us: When the event happened.
        event: What happened.
        topic_arn: The topic; empty of a route.
        route: Name of the route; empty of a topic.
        payload: The event as JSON: ``msgspec`` of ``DomainEvent``.
        attempts: How often delivery was tried.
        next_attempt_us: Not before; None = no more, it is delivered or given up.
        delivered_us: When it was delivered, or None.
        status: What came of it.
        error: Why the last try failed; empty if it did not.
    """

    id: str
    created_us: int
    event: EventKind
    template_arn: str
    target_arn: str
    run_arn: str = ""
    finding_arn: str = ""
    topic_arn: str = ""
    route: str = ""
    payload: str
    attempts: int = 0
    next_attempt_us: int | None
    delivered_us: int | None = None
    status: PublishStatus = PublishStatus.PENDING
    error: str = ""
