"""Where notices go: a channel, an address of that channel, and what its secret is read from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from analyzer.errors import DeliveryError
from analyzer.notify.notice import Notice


class Channel(StrEnum):
    """How a notice travels."""

    SNS = "sns"
    WEBHOOK = "webhook"
    APPRISE = "apprise"
    MQTT = "mqtt"


@dataclass(frozen=True, slots=True)
class Destination:
    """One place; what goes to the same place waits for one another, and for nothing else.

    ``address`` is a topic's ARN, a URL, or an MQTT topic below ``proctor/v1/notifications``.
    ``secret_file`` holds a webhook's secret, or Apprise's URL; it is read at each delivery, so that
    a new secret needs no command.
    """

    channel: Channel
    address: str
    secret_file: str = ""


class Notifier(Protocol):
    """Brings notices to the destinations of one channel."""

    async def deliver(self, notice: Notice, to: Destination) -> None:
        """Return when the destination has taken the notice.

        Raises:
            DeliveryError: It has not.
        """
        ...

    async def close(self) -> None:
        """Release connections; a later delivery opens them again."""
        ...


def read_secret(path: str) -> str:
    """Return what a secret's file holds, without white space around it; blocks.

    Raises:
        DeliveryError: It cannot be read, or holds nothing.
    """
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DeliveryError(f"cannot read the secret in {path}: {error}") from error
    if not text:
        raise DeliveryError(f"the secret in {path} is empty")
    return text
