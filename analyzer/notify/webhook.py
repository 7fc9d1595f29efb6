"""Webhooks: CloudEvents over HTTP POST, signed.

In: notices to URLs. Out: requests that a 2xx answer ends; anything else is a failure.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from analyzer.errors import DeliveryError
from analyzer.notify.cloud_event import CONTENT_TYPE, cloud_event
from analyzer.notify.destination import Destination, read_secret
from analyzer.notify.notice import Notice
from analyzer.notify.signature import parse_secret, signed_headers

if TYPE_CHECKING:
    import aiohttp

    from rules.telemetry import Clock

_TIMEOUT_S: Final = 10.0  # a receiver that needs longer should answer first and work afterwards
_OK: Final = range(200, 300)
_GONE: Final = 410  # the receiver says: never again
_REFUSED: Final = frozenset({401, 403})


class WebhookNotifier:
    """Posts events; one pool of connections for all receivers."""

    def __init__(self, *, clock: Clock, timeout_s: float = _TIMEOUT_S) -> None:
        """Prepare; the first delivery opens connections."""
        self._clock = clock
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, notice: Notice, to: Destination) -> None:
        """Post a notice.

        Raises:
            DeliveryError: No connection, no answer in time, or another answer than 2xx.
        """
        import aiohttp

        body = cloud_event(notice)
        headers = {"content-type": CONTENT_TYPE}
        if to.secret_file:
            secret = parse_secret(await asyncio.to_thread(read_secret, to.secret_file))
            sent_us = self._clock.now_us()
            headers |= signed_headers(secret, event_id=notice.id, sent_us=sent_us, body=body)
        try:
            # A redirect would take the event to a place that nobody named.
            async with self._open().post(
                to.address, data=body, headers=headers, allow_redirects=False
            ) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise DeliveryError(f"webhook: {str(error) or type(error).__name__}") from error
        if status not in _OK:
            code = "ACCESS_DENIED" if status in _REFUSED else "INTERNAL_ERROR"
            raise DeliveryError(
                f"webhook: the receiver answered {status}", code=code, is_final=status == _GONE
            )

    async def close(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                headers={"user-agent": "proctor"},
            )
        return self._session
