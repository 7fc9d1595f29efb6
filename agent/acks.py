"""Acks: what the analyzer says of batches, and which batches still wait for such a word.

In: ack messages; the batches that were sent. Out: what the spool may forget, and whether there is
room to send more. PUBACK from the broker counts for nothing here: only the analyzer frees a batch.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from agent.errors import AckError
from agent.spool import Acked

MAX_PAYLOAD_BYTES: Final = 4 << 20
MAX_BACKOFF: Final = 8  # how many times the ack timeout a silent analyzer is left alone at most

_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Id = Annotated[str, Meta(min_length=1, max_length=128)]

BatchId = tuple[str, str, int]
"""Boot id, stream and sequence of a batch."""


class Rejected(NamedTuple):
    """A batch that the analyzer will never take, and why."""

    boot_id: str
    stream: str
    sequence: int
    reason: str


class AckMessage(NamedTuple):
    """What one message says."""

    acked: tuple[Acked, ...]
    rejected: tuple[Rejected, ...]


class _Ack(msgspec.Struct):
    boot_id: _Id
    stream: _Id
    high: _Count
    ranges: list[tuple[_Count, _Count]] = []


class _Rejection(msgspec.Struct):
    boot_id: _Id
    stream: _Id
    sequence: _Count
    reason: Annotated[str, Meta(max_length=512)] = ""


class _Payload(msgspec.Struct):
    format: Literal[1]
    acks: list[_Ack] = []
    rejected: list[_Rejection] = []


_DECODER = msgspec.json.Decoder(_Payload)


def parse_acks(payload: bytes) -> AckMessage:
    """Return what an ack message says.

    Raises:
        AckError: The payload is no ack message.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise AckError(f"{len(payload)} bytes are more than {MAX_PAYLOAD_BYTES}")
    try:
        message = _DECODER.decode(payload)
    except (msgspec.DecodeError, ValueError) as error:  # ValueError: text that is no UTF-8
        raise AckError(str(error)) from error
    return AckMessage(
        tuple(
            Acked(
                ack.boot_id,
                ack.stream,
                ack.high,
                tuple((low, high) for low, high in ack.ranges if low <= high),
            )
            for ack in message.acks
        ),
        tuple(Rejected(no.boot_id, no.stream, no.sequence, no.reason) for no in message.rejected),
    )


class InFlight:
    """Batches that were sent in this session and that the analyzer has said nothing of.

    Full: nothing more is sent until it says something, or until its silence is taken for a loss.
    """

    def __init__(self, *, limit: int, timeout_s: float) -> None:
        """Allow ``limit`` batches, each with ``timeout_s`` to be acknowledged."""
        self._limit = limit
        self._timeout_s = timeout_s
        self._sent: dict[BatchId, None] = {}
        self._since_s = 0.0
        self._silences = 1

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._sent)

    @property
    def room(self) -> int:
        """Return how many more may be sent."""
        return self._limit - len(self._sent)

    def send(self, batch: BatchId, *, now_s: float) -> None:
        """Note that a batch is about to be sent."""
        if not self._sent:
            self._since_s = now_s
        self._sent[batch] = None

    def settle(self, message: AckMessage, *, now_s: float) -> bool:
        """Take out what the analyzer speaks of, and return whether there was anything of it."""
        gone = {rejected[:3] for rejected in message.rejected} & self._sent.keys()
        marks = {(acked.boot_id, acked.stream): acked for acked in message.acked}
        for batch in self._sent:
            acked = marks.get(batch[:2])
            if acked is not None and _covers(acked, batch[2]):
                gone.add(batch)
        for batch in gone:
            del self._sent[batch]
        if gone:
            self._since_s = now_s
            self._silences = 1
        return bool(gone)

    def remaining_s(self, now_s: float) -> float | None:
        """Return how long the analyzer may still be silent; None while nothing was sent."""
        if not self._sent:
            return None
        return self._since_s + self._timeout_s * self._silences - now_s

    def give_up(self) -> None:
        """Take everything as not arrived, so that it is sent again; be more patient next time."""
        self._sent.clear()
        self._silences = min(2 * self._silences, MAX_BACKOFF)

    def clear(self) -> None:
        """Forget a session that has ended."""
        self._sent.clear()
        self._silences = 1


def _covers(acked: Acked, sequence: int) -> bool:
    return sequence <= acked.high or any(low <= sequence <= high for low, high in acked.ranges)
