"""``proctor-agent capture``: events of this host into a file, for ``proctor check --events``."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.commands.options import add_settings, make_parser, settings_of
from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.capture import Captured
    from agent.config import Settings

SETTINGS: Final = ("agent_id", "state_dir", "probe")  # the others are about the broker
UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_RANDOM_BYTES = 16

_EXAMPLES = """\
  proctor-agent capture --for 10s --out events.ndjson
  proctor-agent capture --for 1h --out events.ndjson.zst
  proctor-agent capture --for 10s | grep '"listener"'"""


def main(arguments: Sequence[str]) -> int:
    """Capture for a while, and return 0, or 130 after Ctrl+C; the file is whole in both cases."""
    parser = make_parser(
        "capture",
        "Write everything the sensors see to a file: no broker, no run. The time counts from the\n"
        "line 'ready' on stderr. Ctrl+C ends it early and keeps what there is.",
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "--for",
        dest="duration_s",
        type=duration_s,
        default="10s",
        metavar="DURATION",
        help="how long: a number and ms, s, m, h or d (default: 10s)",
    )
    parser.add_argument(
        "--out",
        default="-",
        metavar="FILE",
        help="where to; .gz and .zst compress (default: standard output)",
    )
    add_settings(parser, only=SETTINGS)
    parsed = parser.parse_args(arguments)
    settings = settings_of(parsed).settings
    try:
        captured = asyncio.run(_capture(settings, parsed.duration_s, parsed.out))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"--out {parsed.out} cannot be written: {error.strerror}") from error
    sys.stderr.write(f"{captured.events} events of {len(captured.kinds)} kinds\n")
    return captured.exit_code


def duration_s(text: str) -> float:
    """Return a duration like ``10s`` in seconds.

    Raises:
        argparse.ArgumentTypeError: It is none, or 0.
    """
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        message = f"{text!r} is no duration; write a whole number and ms, s, m, h or d, like 90s"
        raise argparse.ArgumentTypeError(message)
    return int(match[1]) * UNITS_S[match[2]]


async def _capture(settings: Settings, seconds: float, out: str) -> Captured:
    from agent.capture import capture
    from agent.collect import HostCollector
    from agent.identity import find_agent_id
    from rules.telemetry.clock import SystemClock

    clock = SystemClock()
    agent_id = find_agent_id(
        configured=settings.agent_id,
        state_dir=Path(settings.state_dir),
        random=os.urandom(_RANDOM_BYTES),
    )
    collector = HostCollector(clock, settings)
    return await capture(collector, clock=clock, agent_id=agent_id, duration_s=seconds, out=out)
