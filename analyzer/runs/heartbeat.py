"""Heartbeats: what agents say of themselves, and how far their clocks are off.

In: status messages. Out: agents as values for the store.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from analyzer.errors import HeartbeatError
from analyzer.model import Agent, Interface
from rules.telemetry.scope import scope_of

MAX_PAYLOAD_BYTES = 1 << 18
_SAMPLES = 16  # heartbeats from which the clock offset is taken

_MAX_INTERFACES = 100  # and addresses of one; agents send fewer

# PostgreSQL has no text with a null character.
_Text = Annotated[str, Meta(max_length=256, pattern=r"^[^\0]*$")]
_Time = Annotated[int, Meta(ge=0, le=253_402_300_799_999_999)]  # to the end of the year 9999


class StatedInterface(msgspec.Struct, frozen=True):
    """A network interface as the agent states it."""

    name: _Text
    addresses: Annotated[list[_Text], Meta(max_length=_MAX_INTERFACES)]


class Status(msgspec.Struct, frozen=True):
    """A status message; fields that this version does not know are ignored."""

    format: Literal[1]
    agent_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
    state: Literal["online", "offline"]
    boot_id: _Text = ""
    now_us: _Time = 0
    hostname: _Text = ""
    version: _Text = ""
    tags: dict[_Text, _Text] = {}
    collecting: bool = False
    throttled: bool = False
    os_name: _Text = ""
    kernel_release: _Text = ""
    interfaces: Annotated[list[StatedInterface], Meta(max_length=_MAX_INTERFACES)] = []


_DECODER = msgspec.json.Decoder(Status)


def parse_status(topic_agent: str, payload: bytes) -> Status:
    """Return a checked status message.

    Raises:
        HeartbeatError: It is malformed, too large, or speaks for another agent than its topic.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise HeartbeatError(f"{len(payload)} bytes are more than {MAX_PAYLOAD_BYTES}")
    try:
        status = _DECODER.decode(payload)
    except (msgspec.DecodeError, ValueError) as error:
        raise HeartbeatError(str(error)) from error
    if status.agent_id != topic_agent:
        raise HeartbeatError(f"topic of {topic_agent} but payload of {status.agent_id}")
    return status


class Offsets:
    """Measures how far each agent's clock is ahead of ours.

    A heartbeat shows the offset minus its time on the way, so of the last ones the greatest is
    nearest the truth.
    """

    def __init__(self) -> None:
        """Start with no measurement."""
        self._samples: dict[str, deque[int]] = {}

    def measure(self, agent_id: str, *, sent_us: int, received_us: int) -> int:
        """Enter one heartbeat; return the agent's offset, microseconds."""
        samples = self._samples.setdefault(agent_id, deque(maxlen=_SAMPLES))
        samples.append(sent_us - received_us)
        return max(samples)

    def of(self, agent_id: str) -> int:
        """Return the offset of an agent; 0 while it is unknown."""
        return max(self._samples.get(agent_id, (0,)))


def agent_of(status: Status, *, known: Agent | None, seen_us: int, offset_us: int) -> Agent:
    """Return the agent as ``status`` describes it; an offline word keeps what was known."""
    if status.state == "offline" and known is not None:
        return replace(known, is_online=False, is_collecting=False)
    return Agent(
        agent_id=status.agent_id,
        boot_id=status.boot_id,
        hostname=status.hostname,
        version=status.version,
        tags=dict(status.tags),
        is_online=status.state == "online",
        is_collecting=status.collecting,
        is_throttled=status.throttled,
        last_seen_us=seen_us,
        clock_offset_us=offset_us,
        os_name=status.os_name,
        kernel_release=status.kernel_release,
        interfaces=tuple(
            Interface(each.name, tuple(filter(scope_of, each.addresses)))  # only what is an address
            for each in status.interfaces
        ),
    )
