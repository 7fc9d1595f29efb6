"""Accept rules: may this batch be stored, is it known already, or is it refused, and why.

In: the topic's agent, a decoded header and the present time. Out: a decision and, once batches are
durable, what to acknowledge. Pure: nothing here waits, reads a clock or touches a disk.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from analyzer.ingest.sequences import Sequences

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.telemetry import Header

MAX_SKEW_US = 300_000_000  # a batch further in the future than this comes from a wrong clock
RUN_SLACK_US = 120_000_000  # how far outside its run a batch may lie: clocks differ a little
MAX_STREAMS = 64  # incarnations of one agent that are remembered; more is no agent of ours
MAX_REJECTED = 1_000  # refusals kept per agent until they are acknowledged

Reason = Literal["identity", "unknown_run", "outside_run", "skew", "interval", "streams"]


@dataclass(frozen=True, slots=True)
class RunWindow:
    """A run that takes telemetry: its interval, open-ended until it is known, and its agents."""

    agents: frozenset[str]
    from_us: int | None = None
    to_us: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a batch: append it to the logs of ``runs``, or nothing."""

    runs: tuple[str, ...] = ()
    is_duplicate: bool = False
    reason: Reason | None = None
    """Why it was refused, None if it was not."""


@dataclass(slots=True)
class _Stream:
    durable: Sequences = field(default_factory=Sequences)
    pending: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _AgentState:
    streams: dict[tuple[str, str], _Stream] = field(default_factory=dict)
    rejected: list[tuple[str, str, int, str]] = field(default_factory=list)


class Acceptor:
    """Decides about batches and remembers which are durable.

    Attributes:
        counts: How many batches ended how: ``accepted``, ``duplicate``, or a reason.
    """

    def __init__(self) -> None:
        """Start knowing nothing."""
        self.counts: Counter[str] = Counter()
        self._agents: dict[str, _AgentState] = defaultdict(_AgentState)

    def decide(
        self, topic_agent: str, header: Header, *, runs: Mapping[str, RunWindow], now_us: int
    ) -> Decision:
        """Decide about one batch; an accepted one is pending until ``stored`` or ``forget``."""
        decision = self._decide(topic_agent, header, runs, now_us)
        if decision.reason is not None:
            self.counts[decision.reason] += 1
            self._reject(topic_agent, header, decision.reason)
        elif decision.is_duplicate:
            self.counts["duplicate"] += 1
        else:
            self.counts["accepted"] += 1
            self._stream(header).pending.add(header.sequence)
        return decision

    def stored(self, header: Header) -> None:
        """Note that a batch is durable."""
        stream = self._stream(header)
        stream.pending.discard(header.sequence)
        stream.durable.add(header.sequence)

    @property
    def refused(self) -> int:
        """Return how many messages were refused, for whatever reason."""
        fine = ("accepted", "duplicate")
        return sum(count for reason, count in self.counts.items() if reason not in fine)

    def recall(self, agent_id: str, *, boot_id: str, stream: str, sequence: int) -> None:
        """Note a batch that an earlier process has made durable."""
        kept = self._agents[agent_id].streams.setdefault((boot_id, stream), _Stream())
        kept.durable.add(sequence)

    def forget(self, header: Header) -> None:
        """Note that a pending batch could not be stored: it will come again."""
        self.counts["accepted"] -= 1
        self._stream(header).pending.discard(header.sequence)

    def acknowledgement(self, agent_id: str) -> dict[str, object]:
        """Return the ack payload for an agent, and let go of the refusals it states."""
        state = self._agents[agent_id]
        payload = {
            "format": 1,
            "acks": [
                {
                    "boot_id": boot_id,
                    "stream": stream,
                    "high": kept.durable.high,
                    "ranges": kept.durable.ranges,
                }
                for (boot_id, stream), kept in state.streams.items()
            ],
            "rejected": [
                {"boot_id": boot_id, "stream": stream, "sequence": sequence, "reason": reason}
                for boot_id, stream, sequence, reason in state.rejected
            ],
        }
        state.rejected.clear()
        return payload

    def missing(self, agent_id: str) -> int:
        """Return how many batches of an agent are known to exist and have not come."""
        return sum(kept.durable.missing for kept in self._agents[agent_id].streams.values())

    def _decide(
        self, topic_agent: str, header: Header, runs: Mapping[str, RunWindow], now_us: int
    ) -> Decision:
        if header.agent_id != topic_agent:
            return Decision(reason="identity")
        state = self._agents[topic_agent]
        kept = state.streams.get((header.boot_id, header.stream))
        if kept is None and len(state.streams) >= MAX_STREAMS:
            return Decision(reason="streams")
        if kept and (header.sequence in kept.durable or header.sequence in kept.pending):
            return Decision(is_duplicate=True)
        if not header.from_us <= header.to_us <= now_us + MAX_SKEW_US:
            return Decision(reason="interval" if header.to_us < header.from_us else "skew")
        known = [run for run in header.runs if run in runs and topic_agent in runs[run].agents]
        if not known:
            return Decision(reason="unknown_run")
        inside = tuple(run for run in known if _overlaps(header, runs[run]))
        return Decision(runs=inside) if inside else Decision(reason="outside_run")

    def _stream(self, header: Header) -> _Stream:
        streams = self._agents[header.agent_id].streams
        return streams.setdefault((header.boot_id, header.stream), _Stream())

    def _reject(self, topic_agent: str, header: Header, reason: Reason) -> None:
        # A batch under a foreign name is not acknowledged to anybody: it may be an impostor's.
        rejected = self._agents[topic_agent].rejected
        if reason != "identity" and len(rejected) < MAX_REJECTED:
            rejected.append((header.boot_id, header.stream, header.sequence, reason))


def _overlaps(header: Header, window: RunWindow) -> bool:
    starts_too_late = window.to_us is not None and header.from_us > window.to_us + RUN_SLACK_US
    ends_too_early = window.from_us is not None and header.to_us < window.from_us - RUN_SLACK_US
    return not (starts_too_late or ends_too_early)
