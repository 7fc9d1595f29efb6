"""Recorded traffic as a recording: what ``proctor-agent read`` writes, without the file between.

In: a capture file and which addresses are ours. Out: the recording of its events, to be judged.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from agent.correlate.sides import Network, Sides
from agent.events_file import encode_event
from agent.read import TrafficReader, name_agent
from analyzer.errors import AnalyzerError
from analyzer.recording import Recorded, parse_recorded

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class RecordedTraffic:
    """What a capture file held.

    Attributes:
        recording: Its events, header and coverage.
        packets: How many packets of TCP and UDP it held.
        lost: What could not be decoded, by cause.
        problem: Why it could not be read to its end; None where it could.
    """

    recording: Recorded
    packets: int
    lost: Mapping[str, int]
    problem: str | None


def read_traffic(path: Path, local: Sequence[str]) -> RecordedTraffic:
    """Return what a capture file holds.

    Args:
        path: pcap or pcapng, plain or gzip.
        local: Networks of the host; without any, whoever opened a connection is the host.

    Raises:
        AnalyzerError: The file cannot be opened or read at all, or a network is none.
    """
    reader = TrafficReader(path, agent_id=name_agent(path), sides=Sides(_networks(local)))
    try:
        lines = [*map(encode_event, reader.read()), *reader.head()]
    except OSError as error:
        raise AnalyzerError(f"cannot read {path}: {error.strerror}; check --pcap") from error
    text = io.BytesIO(b"".join(line + b"\n" for line in lines))
    recording = parse_recorded(text, name=str(path))
    if reader.error is not None and reader.error.offset == 0:
        raise AnalyzerError(f"{path} {reader.error}")
    problem = None if reader.error is None else str(reader.error)
    return RecordedTraffic(recording, reader.packets, reader.lost, problem)


def _networks(local: Sequence[str]) -> list[Network]:
    try:
        return [ip_network(text, strict=False) for text in local]
    except ValueError as error:
        raise AnalyzerError(f"--local: {error}; write it like 10.0.0.0/8") from error
