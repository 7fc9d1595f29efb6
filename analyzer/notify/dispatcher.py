"""The dispatcher: brings what waits in the outbox to its destinations, at least once.

In: messages that are due. Out: deliveries, and in the outbox what became of each. Every destination
has a lane of its own, so that one which is slow or gone delays nobody else. A message whose outcome
was not written down before a crash is sent again, with the same id.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from analyzer.errors import AnalyzerError, DeliveryError
from analyzer.notify.backoff import delay_s
from analyzer.notify.destination import Channel, Destination
from analyzer.notify.notice import Notice
from analyzer.notify.outcome import delivered, failed
from analyzer.notify.routes import destination_of
from analyzer.store.telling import event_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from analyzer.model import OutboxMessage
    from analyzer.notify.destination import Notifier
    from analyzer.notify.outbox import Outbox
    from rules.telemetry import Clock

_LOG = logging.getLogger(__name__)
POLL_S: Final = 0.5  # how soon a message that another process put into the outbox is seen
_BATCH: Final = 200  # messages read at once
_LANE_CEILING_S: Final = 60.0  # a destination that is back is noticed within this
_SECOND_US: Final = 1_000_000
KEPT_US: Final = 30 * 86_400 * _SECOND_US  # how long it can be seen what became of a message
_TIDY_US: Final = 3_600 * _SECOND_US


class Dispatcher:
    """Delivers until cancelled; use ``run`` in a task."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        notifiers: Mapping[Channel, Notifier],
        clock: Clock,
        rng: Random,
    ) -> None:
        """Connect the parts; nothing happens before ``run``."""
        self._outbox = outbox
        self._notifiers = notifiers
        self._clock = clock
        self._rng = rng
        self._busy: set[str] = set()
        self._failures: dict[str, int] = {}  # in a row, by lane
        self._paused: dict[str, int] = {}  # lane → until when
        self._tidied_us = 0
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Deliver what is due, for ever; ends by cancellation."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    for lane, messages in (await self._due()).items():
                        self._busy.add(lane)
                        group.create_task(self._serve(lane, messages), name=f"notify.{lane}")
                    with suppress(TimeoutError):
                        async with asyncio.timeout(POLL_S):
                            await self._wake.wait()
                    self._wake.clear()
        finally:
            for notifier in self._notifiers.values():
                await notifier.close()

    async def _due(self) -> Mapping[str, Sequence[OutboxMessage]]:
        """Return messages to be tried now, by lane; none for lanes that work or wait."""
        now_us = self._clock.now_us()
        self._paused = {lane: us for lane, us in self._paused.items() if us > now_us}
        closed = self._busy | self._paused.keys()
        lanes: defaultdict[str, list[OutboxMessage]] = defaultdict(list)
        try:
            await self._tidy(now_us)
            for message in await self._outbox.due(now_us, limit=_BATCH, without=closed):
                lanes[message.topic_arn or message.route].append(message)
        except AnalyzerError as error:
            # The database refuses for now; what waits in it is safe there.
            _LOG.warning("notify.outbox_refused", extra={"reason": str(error)})
        return lanes

    async def _tidy(self, now_us: int) -> None:
        """Once an hour, let go of messages that nobody asks for any more."""
        if now_us - self._tidied_us >= _TIDY_US:
            await self._outbox.forget(now_us - KEPT_US)
            self._tidied_us = now_us

    async def _serve(self, lane: str, messages: Sequence[OutboxMessage]) -> None:
        """Deliver messages to one destination, up to its first failure."""
        try:
            destination = await self._destination(messages[0])
            for message in messages:
                if not await self._try(lane, message, destination):
                    return
        except AnalyzerError as error:
            # An outcome could not be written, or the route is of another version: what was not
            # written down stays due, and is sent again.
            _LOG.warning("notify.lane_stopped", extra={"lane": lane, "reason": str(error)})
            self._pause(lane)
        finally:
            self._busy.discard(lane)
            self._wake.set()

    async def _try(self, lane: str, message: OutboxMessage, to: Destination | None) -> bool:
        """Deliver a message; return whether its lane may go on at once."""
        error = await self._deliver(message, to)
        now_us = self._clock.now_us()
        if error is None:
            self._failures.pop(lane, None)
            await self._outbox.save(delivered(message, now_us=now_us))
            return True
        outcome = failed(message, error, now_us=now_us, rng=self._rng)
        extra = {"lane": lane, "attempts": outcome.attempts, "reason": outcome.error}
        is_given_up = outcome.next_attempt_us is None
        _LOG.warning("notify.given_up" if is_given_up else "notify.failed", extra=extra)
        await self._outbox.save(outcome)
        if error.is_final:  # it is the message that is wrong, or there is no destination
            return True
        self._pause(lane)
        return False

    async def _deliver(
        self, message: OutboxMessage, to: Destination | None
    ) -> DeliveryError | None:
        if to is None:
            return DeliveryError(f"the route {message.route} was removed", is_final=True)
        try:
            notice = Notice(message.id, event_of(message))
            await self._notifiers[to.channel].deliver(notice, to)
        except DeliveryError as error:
            return error
        except Exception as error:  # noqa: BLE001 (what breaks on one message must not stop others)
            _LOG.exception("notify.broken", extra={"message_id": message.id})
            return DeliveryError(f"{type(error).__name__}: {error}")
        return None

    async def _destination(self, message: OutboxMessage) -> Destination | None:
        """Return where a message and all others of its lane go, or None: nowhere any more."""
        if message.topic_arn:
            return Destination(Channel.SNS, message.topic_arn)
        route = await self._outbox.route(message.route)
        return None if route is None else destination_of(route)

    def _pause(self, lane: str) -> None:
        self._failures[lane] = self._failures.get(lane, 0) + 1
        pause_s = delay_s(self._failures[lane], rng=self._rng, ceiling_s=_LANE_CEILING_S)
        self._paused[lane] = self._clock.now_us() + round(pause_s * _SECOND_US)
