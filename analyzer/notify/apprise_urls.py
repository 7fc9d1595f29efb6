"""Apprise: chat rooms, e-mail and over a hundred services more, by URL.

In: notices to Apprise's URLs. Out: messages in plain words. A URL that holds a secret stands in a
file, whose name is stored in its place.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from analyzer.errors import DeliveryError
from analyzer.notify.destination import Destination, read_secret
from analyzer.notify.notice import Notice
from analyzer.notify.plain_text import PlainText, plain_text
from analyzer.notify.threads import NoticeThreads

_TIMEOUT_S: Final = 30.0  # mail servers are slow
_MASK: Final = "****"  # what Apprise writes in the place of a secret


class AppriseNotifier:
    """Sends words by Apprise, in threads of its own."""

    def __init__(self) -> None:
        """Prepare; Apprise is imported with the first delivery."""
        self._threads = NoticeThreads()

    async def deliver(self, notice: Notice, to: Destination) -> None:
        """Send a notice in words.

        Raises:
            DeliveryError: Apprise does not know the URL, or could not send.
        """
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                is_sent = await self._threads.run(_send, plain_text(notice), to)
        except TimeoutError as error:
            raise DeliveryError(f"Apprise: no answer in {_TIMEOUT_S:g} s") from error
        if not is_sent:
            raise DeliveryError("Apprise could not send; the service refused or was not reached")

    async def close(self) -> None:
        """End the threads; Apprise keeps no connection."""
        self._threads.close()


def _send(text: PlainText, to: Destination) -> bool:
    from apprise import Apprise

    sender = Apprise()
    if not sender.add(read_secret(to.secret_file) if to.secret_file else to.address):
        raise DeliveryError("Apprise does not know this URL")
    return bool(sender.notify(title=text.title, body=text.body))


def apprise_knows(url: str) -> bool:
    """Tell whether a URL is one of Apprise's; imports all of it."""
    from apprise import Apprise

    return bool(Apprise.instantiate(url, suppress_exceptions=True))


def apprise_problem(url: str) -> str | None:
    """Return why a URL may not be given as an argument, or None; imports all of Apprise."""
    from apprise import Apprise

    known: Any = Apprise.instantiate(url, suppress_exceptions=True)
    if not known:
        return "Apprise does not know this URL"
    if _MASK in str(known.url(privacy=True)):
        return "this URL holds a secret; put it into a file, and name that with --apprise-file"
    return None
