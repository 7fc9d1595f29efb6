"""Control: what the analyzer wants of this agent, and until when.

In: retained control messages, and the agent's own clock. Out: at any moment the active runs and
the telemetry kinds they need. Instructions can only choose among kinds that this agent knows, and
every one ends by itself: an analyzer that falls silent leaves nothing running.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from agent.errors import ControlError
from rules.telemetry.kinds import INT64_MAX, KINDS

MAX_PAYLOAD_BYTES: Final = 1 << 18
MAX_RUNS: Final = 100
MAX_RUN_US: Final = 86_400 * 1_000_000  # the longest an assessment run can be

_LOG = logging.getLogger(__name__)

_Time = Annotated[int, Meta(ge=0, le=INT64_MAX)]


class WantedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run and the kinds its rules need, from ``from_us`` until before ``to_us``."""

    run: Annotated[str, Meta(min_length=1, max_length=255)]
    kinds: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=200)]
    from_us: _Time
    to_us: _Time

    def __post_init__(self) -> None:
        """Check the interval.

        Raises:
            ValueError: It is empty or longer than any run.
        """
        if not 0 < self.to_us - self.from_us <= MAX_RUN_US:
            raise ValueError(f"run {self.run!r} does not last between 1 us and {MAX_RUN_US} us")


class _Payload(msgspec.Struct):
    format: Literal[1]
    runs: Annotated[tuple[WantedRun, ...], Meta(max_length=MAX_RUNS)]


_DECODER = msgspec.json.Decoder(_Payload)


def parse_control(payload: bytes) -> tuple[WantedRun, ...]:
    """Return the runs of a control message; an empty message, as brokers clear one, has none.

    Raises:
        ControlError: The payload is no control message.
    """
    if not payload:
        return ()
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ControlError(f"{len(payload)} bytes are more than {MAX_PAYLOAD_BYTES}")
    try:
        return _DECODER.decode(payload).runs
    except (msgspec.DecodeError, ValueError) as error:  # ValueError: text that is no UTF-8
        raise ControlError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted at one moment: nothing, unless there are runs.

    ``until_us`` is the end of the last of the runs as long as no message says otherwise.
    """

    runs: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()
    until_us: int = 0

    def __bool__(self) -> bool:
        """Tell whether anything is wanted."""
        return bool(self.runs)


def wanted_at(runs: Iterable[WantedRun], now_us: int) -> Wanted:
    """Return what ``runs`` want at a moment; kinds that this agent does not know are left out."""
    active = [run for run in runs if run.from_us <= now_us < run.to_us]
    if not active:
        return Wanted()
    return Wanted(
        runs=tuple(sorted({run.run for run in active})),
        kinds=frozenset(kind for run in active for kind in run.kinds if kind in KINDS),
        until_us=max(run.to_us for run in active),
    )


def next_change_us(runs: Iterable[WantedRun], now_us: int) -> int | None:
    """Return the first moment after ``now_us`` at which a run begins or ends, or None."""
    moments = (moment for run in runs for moment in (run.from_us, run.to_us))
    return min((moment for moment in moments if moment > now_us), default=None)


@dataclass(slots=True)
class Control:
    """The latest sound control message.

    Attributes:
        runs: Its runs.
        refused: Messages that were none.
    """

    runs: tuple[WantedRun, ...] = ()
    refused: int = 0
    _is_told: bool = field(default=False, repr=False)

    def update(self, payload: bytes) -> bool:
        """Take a message over and return whether it changes anything; refuse a malformed one."""
        try:
            runs = parse_control(payload)
        except ControlError as error:
            self._refuse(error)
            return False
        self._is_told = False
        changed = runs != self.runs
        self.runs = runs
        return changed

    def _refuse(self, error: ControlError) -> None:
        self.refused += 1
        if not self._is_told:  # once until a sound one comes: a broken sender repeats itself
            self._is_told = True
            _LOG.warning("control.refused", extra={"why": str(error)})
