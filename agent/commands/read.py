"""``proctor-agent read``: events from a capture file, for ``proctor check --events``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from agent.commands.options import make_parser
from agent.errors import ConfigError

if TYPE_CHECKING:
    from collections import Counter

    from agent.correlate.sides import Network
    from agent.read import TrafficReader
    from rules.telemetry.clock import Clock

INCOMPLETE: Final = 2
PIPE_PROGRESS_S: Final = 10.0  # between two lines where nobody watches a terminal
_TERMINAL_PROGRESS_S: Final = 0.2

_EXAMPLES = """\
  proctor-agent read web.pcap --out web.ndjson.zst
  proctor-agent read web.pcapng.gz --local 10.0.0.0/8 fd00::/8 --agent-id web-1
  proctor check --events web.ndjson.zst"""


def main(arguments: Sequence[str]) -> int:
    """Read a capture file and return 0, or 2 if it could not be read to its end."""
    parser = make_parser(
        "read",
        "Write the events that recorded traffic makes: connections, TLS sessions, DNS answers,\n"
        "requests to the instance metadata service, calls to AWS. pcap and pcapng, gzip too.\n"
        "No process is known, since packets name none. Nothing is decrypted. Of a file that is\n"
        "cut or damaged, everything before the damage is kept.",
        examples=_EXAMPLES,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the capture file")
    parser.add_argument(
        "--out",
        default="-",
        metavar="FILE",
        help="where to; .gz and .zst compress (default: standard output)",
    )
    parser.add_argument(
        "--local",
        nargs="+",
        action="extend",
        default=[],
        type=network,
        metavar="CIDR",
        help="the host's own addresses; both directions are then told apart, and traffic of "
        "others is left out (default: whoever opened a connection is the host)",
    )
    parser.add_argument(
        "--agent-id", default="", metavar="ID", help="name of the host (default: of the file)"
    )
    return _read(parser.parse_args(arguments))


def network(text: str) -> Network:
    """Return an address or network.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        message = f"{text!r} is no network; write it like 10.0.0.0/8 or 10.1.2.3"
        raise argparse.ArgumentTypeError(message) from error


def _read(parsed: argparse.Namespace) -> int:
    from agent.correlate.sides import Sides
    from agent.events_file import EventsFile
    from agent.read import TrafficReader, name_agent
    from rules.telemetry.clock import SystemClock
    from rules.telemetry.topics import is_agent_id

    agent_id = parsed.agent_id or name_agent(parsed.file)
    if not is_agent_id(agent_id):
        raise ConfigError(f"--agent-id {agent_id}: 1 to 128 of A-Z, a-z, 0-9, _ and -")
    reader = TrafficReader(parsed.file, agent_id=agent_id, sides=Sides(parsed.local))
    progress = _Progress(sys.stderr, SystemClock(), reader)
    try:
        file = EventsFile(parsed.out)
        try:
            file.append(reader.read(progress.show))
            progress.end()
            file.finish(reader.head())
        finally:
            file.close()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"{error.filename or parsed.out}: {error.strerror}") from error
    return _report(reader, parsed.file)


def _report(reader: TrafficReader, path: Path) -> int:
    lines = [f"{reader.events:,} events from {reader.packets:,} packets of {path}"]
    if reader.lost:
        lines.append(f"not decoded: {_counts(reader.lost)}; these intervals count as degraded")
    if reader.foreign:
        lines.append(f"left out, since neither end is local: {reader.foreign:,}")
    if reader.error is not None:
        lines.append(f"proctor-agent: {path} {reader.error}; everything before it is kept")
    sys.stderr.write("\n".join(lines) + "\n")
    return INCOMPLETE if reader.error is not None else 0


def _counts(lost: Counter[str]) -> str:
    return ", ".join(f"{cause} {count:,}" for cause, count in sorted(lost.items()))


class _Progress:
    """One changing line on a terminal, else a line now and then."""

    def __init__(self, messages: TextIO, clock: Clock, reader: TrafficReader) -> None:
        self._messages = messages
        self._clock = clock
        self._reader = reader
        self._is_terminal = messages.isatty()
        self._interval_s = _TERMINAL_PROGRESS_S if self._is_terminal else PIPE_PROGRESS_S
        self._next_s = clock.monotonic_s() + self._interval_s
        self._is_shown = False

    def show(self, share: float) -> None:
        """Tell how far the file has been read, unless that was told a moment ago."""
        if self._clock.monotonic_s() < self._next_s:
            return
        self._next_s = self._clock.monotonic_s() + self._interval_s
        text = f"Reading, {share:.0%}, {self._reader.packets:,} packets"
        self._messages.write(f"\r\x1b[K{text}" if self._is_terminal else f"{text}\n")
        self._messages.flush()
        self._is_shown = True

    def end(self) -> None:
        if self._is_terminal and self._is_shown:
            self._messages.write("\r\x1b[K")
            self._messages.flush()
