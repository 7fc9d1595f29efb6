"""MQTT topic names and telemetry partitions: the only place that builds or takes apart a topic.

``proctor/v1/telemetry/<partition>/<agent>`` carries batches, ``ack`` what the analyzer has made
durable, ``control`` (retained) what it wants collected, ``status`` (retained) the heartbeat.
"""

from __future__ import annotations

import re
import zlib

PARTITIONS = 64  # the unit by which hosts are shared out over analyzers; never changes
ROOT = "proctor/v1"
TELEMETRY_FILTER = f"{ROOT}/telemetry/+/+"
STATUS_FILTER = f"{ROOT}/status/+"

# Dots, spaces, slashes and wildcards separate subjects in brokers, so ids hold none of them.
AGENT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TELEMETRY = re.compile(rf"{ROOT}/telemetry/(0|[1-9][0-9]?)/([A-Za-z0-9_-]{{1,128}})")
_STATUS = re.compile(rf"{ROOT}/status/([A-Za-z0-9_-]{{1,128}})")


def is_agent_id(text: str) -> bool:
    """Tell whether ``text`` may name an agent."""
    return AGENT_ID.fullmatch(text) is not None


def partition_of(agent_id: str) -> int:
    """Return the partition of an agent, 0 to 63, the same on every machine and forever."""
    return zlib.crc32(agent_id.encode()) % PARTITIONS


def telemetry_topic(agent_id: str) -> str:
    """Return the topic that an agent publishes its batches on."""
    return f"{ROOT}/telemetry/{partition_of(agent_id)}/{agent_id}"


def ack_topic(agent_id: str) -> str:
    """Return the topic on which the analyzer tells an agent what is durable."""
    return f"{ROOT}/ack/{agent_id}"


def control_topic(agent_id: str) -> str:
    """Return the retained topic that holds what the analyzer wants from an agent."""
    return f"{ROOT}/control/{agent_id}"


def status_topic(agent_id: str) -> str:
    """Return the retained topic of an agent's heartbeat."""
    return f"{ROOT}/status/{agent_id}"


def parse_telemetry(topic: str) -> tuple[int, str] | None:
    """Return ``(partition, agent id)`` of a telemetry topic, or None if it is none.

    A topic whose partition is not the agent's own is none: it would split a host.
    """
    match = _TELEMETRY.fullmatch(topic)
    if match is None or int(match[1]) != partition_of(match[2]):
        return None
    return int(match[1]), match[2]


def parse_status(topic: str) -> str | None:
    """Return the agent id of a status topic, or None if it is none."""
    match = _STATUS.fullmatch(topic)
    return None if match is None else match[1]
