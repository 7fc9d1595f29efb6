"""What becomes of a message after a try: delivered, to be tried again, or given up.

In: a message and what happened. Out: the message as the outbox keeps it from then on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from analyzer.model import OutboxMessage, PublishStatus
from analyzer.notify.backoff import MAX_ATTEMPTS, delay_s

if TYPE_CHECKING:
    from random import Random

    from analyzer.errors import DeliveryError

_SECOND_US: Final = 1_000_000
_LONGEST_ERROR: Final = 1_000  # characters; as many as Inspector's notifications hold


def delivered(message: OutboxMessage, *, now_us: int) -> OutboxMessage:
    """Return a message that has arrived."""
    return replace(
        message,
        attempts=message.attempts + 1,
        next_attempt_us=None,
        delivered_us=now_us,
        status=PublishStatus.SUCCESS,
        error="",
    )


def failed(
    message: OutboxMessage, error: DeliveryError, *, now_us: int, rng: Random
) -> OutboxMessage:
    """Return a message that has not: it waits, or is given up with the error that it met."""
    attempts = message.attempts + 1
    is_over = error.is_final or attempts >= MAX_ATTEMPTS
    wait_us = round(delay_s(attempts, rng=rng) * _SECOND_US)
    return replace(
        message,
        attempts=attempts,
        next_attempt_us=None if is_over else now_us + wait_us,
        status=PublishStatus(error.code),
        error=str(error)[:_LONGEST_ERROR],
    )
