"""Routes: destinations that the operator added, checked before they are stored.

In: what ``proctor notify add`` was given. Out: a route of the store; and of a route or a
subscription, the destination that a notifier knows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from analyzer.errors import DeliveryError, RouteError
from analyzer.model import EventKind, Route
from analyzer.notify.apprise_urls import apprise_knows, apprise_problem
from analyzer.notify.destination import Channel, Destination, read_secret
from analyzer.notify.mqtt import TOPIC
from analyzer.notify.signature import parse_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
DEFAULT_EVENTS: Final = (EventKind.RUN_COMPLETED, EventKind.FINDING_REPORTED)
_CHANNEL: Final = "channel"
_SECRET: Final = "secret_file"  # the name of an option, not a secret  # noqa: S105
_SEVERITY: Final = "min_severity"


def new_route(
    name: str,
    destination: Destination,
    *,
    events: Sequence[EventKind] = DEFAULT_EVENTS,
    min_severity: str = "",
    created_us: int,
) -> Route:
    """Return a route; reads its secret once, to see that it will do.

    Raises:
        RouteError: The name, the destination or the secret cannot be used.
    """
    if NAME.fullmatch(name) is None:
        raise RouteError(f"{name!r} is no name; use letters, digits, dots, dashes, underscores")
    problem = _problem(destination)
    if problem is not None:
        raise RouteError(problem)
    options = {
        _CHANNEL: destination.channel.value,
        _SECRET: destination.secret_file,
        _SEVERITY: min_severity,
    }
    return Route(
        name=name,
        url=destination.address,
        events=tuple(events),
        options={key: value for key, value in options.items() if value},
        created_us=created_us,
    )


def destination_of(route: Route) -> Destination:
    """Return where a route leads to.

    Raises:
        RouteError: Over a channel that this version does not know.
    """
    channel = route.options.get(_CHANNEL, "")
    if channel not in set(Channel):
        raise RouteError(f"the route {route.name} uses {channel!r}, which is no channel")
    return Destination(Channel(channel), route.url, route.options.get(_SECRET, ""))


def _problem(destination: Destination) -> str | None:
    try:
        return _PROBLEMS[destination.channel](destination)
    except DeliveryError as error:
        return str(error)


def _webhook_problem(destination: Destination) -> str | None:
    try:
        parts = urlsplit(destination.address)
        _ = parts.port
    except ValueError as error:
        return f"{destination.address!r} is no URL: {error}"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return f"{destination.address!r} is no webhook; write https://host/path"
    if parts.username or parts.password:
        return "a webhook's URL holds no user or password; sign with --secret-file instead"
    if destination.secret_file:
        parse_secret(read_secret(destination.secret_file))
    return None


def _apprise_problem(destination: Destination) -> str | None:
    if destination.secret_file:
        is_known = apprise_knows(read_secret(destination.secret_file))
        return None if is_known else "Apprise does not know the URL in the file"
    return apprise_problem(destination.address)


def _mqtt_problem(destination: Destination) -> str | None:
    if TOPIC.fullmatch(destination.address):
        return None
    return (
        f"{destination.address!r} is no topic; use letters, digits, dashes and underscores, with "
        "slashes between up to eight parts"
    )


def _sns_problem(_: Destination) -> str:
    return "topics of SNS are subscribed through the API, with SubscribeToEvent"


_PROBLEMS: Final = {
    Channel.WEBHOOK: _webhook_problem,
    Channel.APPRISE: _apprise_problem,
    Channel.MQTT: _mqtt_problem,
    Channel.SNS: _sns_problem,
}
"""Channel → what is wrong with a destination of it, or None."""
