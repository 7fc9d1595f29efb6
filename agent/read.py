"""Read: a capture file becomes the events that its traffic makes, as if it were watched live.

In: a pcap or pcapng file and which addresses are ours. Out: events, then header and coverage for
the recording that they make.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.correlate.sides import Sides, events_of
from agent.decode.capture_file import CaptureFile
from agent.decode.traffic import GAP, Traffic
from agent.errors import CaptureFileError
from rules.telemetry.header import Coverage
from rules.telemetry.ndjson import Capture, encode_capture, encode_coverage

if TYPE_CHECKING:
    from rules.telemetry.event import Event

SENSOR: Final = "pcap"
CLIENTS_ONLY: Final = "pcap_clients"  # the sensor's name where no address is known to be local
METHOD: Final = "capture file"
KINDS: Final = ("aws_call", "connection", "dns_answer", "imds_request", "tls_session")
CAPTURE_DROPS: Final = "capture_drops"
_WITHOUT_CONTENT: Final = ("connection",)
_STEP: Final = 1_024  # packets between two looks at the facts
_NOT_IN_IDS: Final = re.compile(r"[^A-Za-z0-9_-]+")
_ID_CHARACTERS: Final = 128


class TrafficReader:
    """Reads one capture file, once.

    Attributes:
        packets: TCP and UDP packets read so far.
        events: Events made so far.
        foreign: Facts left out because neither end is ours.
        error: Why the file could not be read to its end; what was read before is whole.
    """

    def __init__(self, path: Path, *, agent_id: str, sides: Sides) -> None:
        """Prepare.

        Args:
            path: pcap or pcapng, plain or gzip.
            agent_id: Name of the host in the recording.
            sides: Which ends are its own.
        """
        self.events = 0
        self.foreign = 0
        self.error: CaptureFileError | None = None
        self._path = path
        self._agent_id = agent_id
        self._sides = sides
        self._traffic = Traffic()
        self._from_us: int | None = None
        self._last_us = 0
        self._dropped = 0

    def read(self, on_progress: Callable[[float], None] = lambda _share: None) -> Iterator[Event]:
        """Yield the events in the order in which they became certain.

        Args:
            on_progress: Told now and then which share of the file has been read.

        Raises:
            OSError: The file cannot be opened or read.
        """
        with CaptureFile(self._path) as file:
            try:
                for number, (ts_us, link, data) in enumerate(file.frames()):
                    self._traffic.add(data, link, ts_us)
                    self._last_us = max(self._last_us, ts_us)
                    if self._from_us is None or ts_us < self._from_us:
                        self._from_us = ts_us
                    if number % _STEP == 0:
                        on_progress(file.read_bytes / max(1, file.size_bytes))
                        yield from self._take()
            except CaptureFileError as error:
                self.error = error
            self._dropped = file.dropped
        self._traffic.end(self._last_us)
        yield from self._take()

    def head(self) -> list[bytes]:
        """Return header and coverage rows as lines; call it when everything has been read."""
        from_us, to_us = self._from_us or 0, self._last_us + (self._from_us is not None)
        header = Capture(self._agent_id, from_us, to_us, KINDS)
        return [
            encode_capture(header),
            *(encode_coverage(self._agent_id, row) for row in self._coverage(from_us, to_us)),
        ]

    @property
    def packets(self) -> int:
        """Return how many TCP and UDP packets have been read."""
        return self._traffic.packets

    @property
    def lost(self) -> Counter[str]:
        """Return what could not be decoded or was not recorded, by cause."""
        return +(self._traffic.lost + Counter({CAPTURE_DROPS: self._dropped}))

    def _take(self) -> Iterator[Event]:
        for fact in self._traffic.drain():
            directions = self._sides.of(fact.parties)
            self.foreign += not directions
            for direction in directions:
                for event in events_of(fact, direction, source=SENSOR):
                    self.events += 1
                    yield event

    def _coverage(self, from_us: int, to_us: int) -> Iterator[Coverage]:
        """Yield coverage rows; missing bytes spoil what is read from content, no more."""
        lost = self.lost
        sensor = CLIENTS_ONLY if self._sides.are_guessed else SENSOR
        without_gaps = Counter({cause: count for cause, count in lost.items() if cause != GAP})
        contents = tuple(kind for kind in KINDS if kind not in _WITHOUT_CONTENT)
        groups = [(_WITHOUT_CONTENT, without_gaps), (contents, lost)]
        for kinds, causes in groups if lost[GAP] else [(KINDS, lost)]:
            state = "degraded" if causes else "on"
            yield Coverage(
                sensor,
                kinds,
                from_us,
                to_us,
                state,
                METHOD,
                lost=dict(sorted(causes.items())) or None,
            )


def name_agent(path: Path) -> str:
    """Return the agent id of a capture file: its name, as far as an id can hold it."""
    stem = path.name.split(".")[0]
    return _NOT_IN_IDS.sub("-", stem)[:_ID_CHARACTERS].strip("-") or SENSOR
