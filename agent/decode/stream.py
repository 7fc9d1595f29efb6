"""One direction of a TCP connection: its bytes in order, as far as they are wanted.

In: segments in any order, doubled, cut or missing. Out: the bytes at the start of the stream, once
each and in order. Both what is handed out and what waits for a missing piece is bounded.
Source: RFC 9293.
"""

from __future__ import annotations

from typing import Final

SEQUENCE_MASK: Final = 0xFFFF_FFFF
HALF: Final = 0x8000_0000  # a difference at or above means: before

STREAM_BYTES: Final = 16_384  # of each direction; hellos and logins are long over by then
PENDING_BYTES_MAX: Final = 65_536  # of segments that came too early
PENDING_MAX: Final = 64


class Stream:
    """The start of one direction.

    Attributes:
        is_over: Nothing more comes out: all that is wanted has, or something is missing for good.
        has_gap: Bytes are missing, and with them all that would follow.
    """

    __slots__ = ("_left", "_next", "_pending", "_pending_bytes", "has_gap", "is_over")

    def __init__(self, first_sequence: int, *, limit_bytes: int | None = STREAM_BYTES) -> None:
        """Start at the sequence number of the first byte; without a limit where it is None."""
        self._next = first_sequence
        self._left = limit_bytes
        self._pending: dict[int, tuple[bytes, int]] = {}
        self._pending_bytes = 0
        self.is_over = False
        self.has_gap = False

    @property
    def has_pending(self) -> bool:
        """Tell whether segments wait for what lacks before them."""
        return bool(self._pending)

    def feed(self, sequence: int, payload: bytes, *, size_bytes: int) -> list[bytes]:
        """Take one segment and return what is now in order, piece by piece as it was sent.

        Args:
            sequence: Sequence number of its first byte.
            payload: What was captured of it.
            size_bytes: How much was sent; what was not captured is missing for good.
        """
        if self.is_over:
            return []
        if sequence == self._next:
            left = self._left
            is_whole = 0 < size_bytes == len(payload) and not self._pending
            if is_whole and (left is None or size_bytes < left):
                # Most of what there is: whole, in order, and more is wanted.
                self._next = (sequence + size_bytes) & SEQUENCE_MASK
                if left is not None:
                    self._left = left - size_bytes
                return [payload]
        else:
            early = (sequence - self._next) & SEQUENCE_MASK
            if early < HALF:
                self._keep(sequence, payload, size_bytes)
                return []
            known = SEQUENCE_MASK + 1 - early
            if known >= size_bytes:
                return []
            payload, size_bytes = payload[known:], size_bytes - known
        pieces: list[bytes] = []
        self._take(pieces, payload, size_bytes)
        if self._pending:
            self._take_pending(pieces)
        return pieces

    def _take(self, pieces: list[bytes], payload: bytes, size_bytes: int) -> None:
        self._next = (self._next + size_bytes) & SEQUENCE_MASK
        is_cut = len(payload) < size_bytes
        if self._left is not None:
            payload = payload[: self._left]
            self._left -= len(payload)
            self.is_over = self._left == 0
        if payload:
            pieces.append(payload)
        if is_cut and not self.is_over:
            self._lose()
        elif self.is_over:
            self._pending.clear()

    def _take_pending(self, pieces: list[bytes]) -> None:
        for sequence in sorted(self._pending, key=self._distance):
            early = (sequence - self._next) & SEQUENCE_MASK
            if self.is_over or 0 < early < HALF:
                return
            payload, size_bytes = self._pending.pop(sequence)
            self._pending_bytes -= len(payload)
            known = (self._next - sequence) & SEQUENCE_MASK
            if known < size_bytes:
                self._take(pieces, payload[known:], size_bytes - known)

    def _distance(self, sequence: int) -> int:
        """Return how far a number lies ahead; what lies behind comes first."""
        return (sequence - self._next + HALF) & SEQUENCE_MASK

    def _keep(self, sequence: int, payload: bytes, size_bytes: int) -> None:
        known = self._pending.get(sequence)
        if known is not None and known[1] >= size_bytes:
            return
        self._pending_bytes += len(payload) - (len(known[0]) if known else 0)
        self._pending[sequence] = (payload, size_bytes)
        if self._pending_bytes > PENDING_BYTES_MAX or len(self._pending) > PENDING_MAX:
            self._lose()

    def _lose(self) -> None:
        self.has_gap = self.is_over = True
        self._pending.clear()
