"""``proctor-agent status``: what the agent on this host is doing, from the file it keeps."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from agent.cli import DONE, UNREACHED
from agent.commands.options import add_settings, make_parser, settings_of
from agent.errors import ConfigError
from agent.status import LocalStatus, is_alive, read_status, to_jsonable
from rules.telemetry.clock import SystemClock

_EXAMPLES = """\
  proctor-agent status
  proctor-agent status --json
  proctor-agent status --state-dir /tmp/agent"""

_WIDTH = 16  # of the names


def main(arguments: Sequence[str]) -> int:
    """Print the status, and return 0 if an agent runs, 4 if none does."""
    parser = make_parser("status", "Say what the agent on this host is doing.", examples=_EXAMPLES)
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    add_settings(parser, only=("state_dir",))
    parsed = parser.parse_args(arguments)
    folder = Path(settings_of(parsed).settings.state_dir)
    try:
        status = read_status(folder)
    except OSError as error:
        raise ConfigError(f"the status in {folder} cannot be read: {error.strerror}") from error
    is_running = status is not None and is_alive(status)
    if status is not None and parsed.json:
        plain = to_jsonable(status, is_running=is_running)
        sys.stdout.write(f"{msgspec.json.encode(plain).decode()}\n")
    elif status is not None and is_running:
        for name, value in describe(status, now_us=SystemClock().now_us()):
            sys.stdout.write(f"{name:<{_WIDTH}}: {value}\n")
    if not is_running:
        sys.stderr.write(f"proctor-agent: {_absent(status, folder)}\n")
    return DONE if is_running else UNREACHED


def describe(status: LocalStatus, *, now_us: int) -> Iterator[tuple[str, str]]:
    """Yield the lines of a status: name and value."""
    heartbeat = status.heartbeat
    link = "connected" if status.is_connected else f"not connected: {status.problem or 'not yet'}"
    yield "Agent version", heartbeat.version
    yield "Endpoint", f"{status.endpoint} ({link})"
    yield "Collecting", _collecting(status, now_us)
    yield "Agent id", heartbeat.agent_id
    if heartbeat.tags:
        yield "Tags", ", ".join(f"{key}={value}" for key, value in sorted(heartbeat.tags.items()))
    yield "Process", f"{status.pid}, for {_span(now_us - status.started_us)}"
    for sensor in heartbeat.sensors:
        why = "; ".join(filter(None, (sensor.method, sensor.reason, sensor.remedy)))
        yield f"Sensor {sensor.name}", f"{sensor.state} ({why})" if why else sensor.state
    yield from _transport(status, now_us)


def _transport(status: LocalStatus, now_us: int) -> Iterator[tuple[str, str]]:
    spool = status.heartbeat.spool
    age = f", the oldest {_span(round(spool.oldest_age_s * 1e6))} old" if spool.batches else ""
    yield "Spool", f"{spool.batches} batches waiting, {spool.bytes} bytes{age}"
    ack = "none yet" if status.last_ack_us is None else f"{_span(now_us - status.last_ack_us)} ago"
    yield "Last ack", ack
    if spool.dropped_events:
        lost = (f"{events} {cause}" for cause, events in sorted(spool.dropped_events.items()))
        yield "Events lost", ", ".join(lost)
    troubles = {
        "batches rejected": status.rejected_batches,
        "messages refused": status.refused_messages,
        "collector failures": status.failures,
    }
    told = [f"{count} {name}" for name, count in troubles.items() if count]
    if told:
        yield "Troubles", ", ".join(told)


def _collecting(status: LocalStatus, now_us: int) -> str:
    if not status.runs or status.until_us is None:
        return "no; no run wants it"
    left = _span(max(0, status.until_us - now_us))
    return f"yes, {', '.join(status.kinds)} for {', '.join(status.runs)}, {left} left"


def _absent(status: LocalStatus | None, folder: Path) -> str:
    if status is None:
        return (
            f"no agent has run with the state folder {folder}. "
            "Start one with 'proctor-agent run', or name its folder with --state-dir."
        )
    return f"no agent runs; process {status.pid} has ended. Start one with 'proctor-agent run'."


def _span(time_us: int) -> str:
    """Return a duration for people: its two largest units."""
    seconds = time_us // 1_000_000
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
