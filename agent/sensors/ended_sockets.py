"""Ends of TCP sockets, read in bunches: soon enough for the queue, seldom enough for the CPU.

In: the kernel's notices of destroyed sockets. Out: ``ClosedSocket``, and what the kernel dropped.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from agent.errors import NetlinkError
from agent.sensors.destroy_events import DRAIN_LIMIT
from agent.sensors.pace import TICK_S, at_tick

if TYPE_CHECKING:
    from agent.sensors.socket_rows import ClosedSocket
    from rules.telemetry.clock import Clock

logger = logging.getLogger(__name__)

RETRY_S: Final = 10.0  # until a subscription that the kernel refused is tried again
_PEAK_PER_S: Final = 30_000  # ends that the queue must hold between two reads
_EVENT_BYTES: Final = 1_280  # of the queue, for each end
_PAUSE_BOUNDS_S: Final = (0.02, 0.1)
_CALM_ENDS: Final = 500  # of one read at most, for the next one to wait for a tick


class Subscription(Protocol):
    """What ``DestroyEvents`` offers."""

    lost: int

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        ...

    def drain(self, limit: int = ...) -> list[ClosedSocket]:
        """Return what waits."""
        ...

    def close(self) -> None:
        """End the subscription."""
        ...


class EndedSockets:
    """A subscription that is renewed when it breaks."""

    def __init__(self, subscribe: Callable[[], Subscription], clock: Clock) -> None:
        self._subscribe = subscribe
        self._clock = clock
        self._events: Subscription | None = None
        self._pause_s = _PAUSE_BOUNDS_S[0]
        self._next_read_s = 0.0
        self._is_patient = False
        self._retry_s = 0.0
        self._lost_before = 0
        self.seen = 0

    @property
    def is_on(self) -> bool:
        """Tell whether ends are being told."""
        return self._events is not None

    @property
    def lost(self) -> int:
        """Return how many ends the kernel has dropped, over all subscriptions."""
        return self._lost_before + (self._events.lost if self._events is not None else 0)

    def connect(self) -> None:
        """Subscribe, if that is due."""
        now_s = self._clock.monotonic_s()
        if self._events is not None or now_s < self._retry_s:
            return
        self._retry_s = now_s + RETRY_S
        try:
            self._events = self._subscribe()
        except NetlinkError as error:
            logger.warning("sock_diag.no_ends", extra={"reason": str(error)})
            return
        self._pause_s = pause_for(_queue_bytes(self._events.fileno()))

    def wait(self, due_s: float) -> tuple[float, int | None]:
        """Return until when to wait, and for which descriptor, if there is nothing else before."""
        if self._events is None:
            return due_s, None
        if self._is_patient or self._clock.monotonic_s() < self._next_read_s:
            # Right after a read nothing is waited for: ends gather, and cost one read together.
            return min(due_s, self._next_read_s), None
        return due_s, self._events.fileno()

    def read(self, *, is_patient: bool = False) -> list[ClosedSocket]:
        """Return the sockets that were destroyed since the last read.

        Args:
            is_patient: Whether only bytes are awaited, since somebody else tells of ends: then they
                wait for a tick, as long as they are few and the queue is large.
        """
        if self._events is None:
            return []
        try:
            ended = self._events.drain()
        except NetlinkError as error:
            logger.warning("sock_diag.ends_broke", extra={"reason": str(error)})
            self.close()
            return []
        self.seen += len(ended)
        is_large = self._pause_s == _PAUSE_BOUNDS_S[1]
        self._is_patient = is_patient and is_large and len(ended) < _CALM_ENDS
        now_s = self._clock.monotonic_s()
        if self._is_patient:
            self._next_read_s = at_tick(now_s + TICK_S)
        elif ended and len(ended) < DRAIN_LIMIT:
            self._next_read_s = now_s + self._pause_s
        return ended

    def close(self) -> None:
        """End the subscription."""
        if self._events is not None:
            self._lost_before = self.lost
            self._events.close()
            self._events = None


def pause_for(queue_bytes: int) -> float:
    """Return how long ends may gather without overflowing a queue in a burst."""
    low_s, high_s = _PAUSE_BOUNDS_S
    return min(max(queue_bytes / _EVENT_BYTES / _PEAK_PER_S, low_s), high_s)


def _queue_bytes(fileno: int) -> int:
    with socket.socket(fileno=os.dup(fileno)) as twin:
        return twin.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
