"""``proctor-agent doctor``: what works on this host, what cannot be seen, and what would help."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.commands.options import add_settings, make_parser, settings_of

if TYPE_CHECKING:
    from agent.config import Settings
    from agent.doctor import Check

_EXAMPLES = """\
  proctor-agent doctor
  proctor-agent doctor --json
  sudo proctor-agent doctor --config /etc/proctor/agent.toml"""


def main(arguments: Sequence[str]) -> int:
    """Print every check, and return 0, or 2 for a problem, 4 if the broker is not reached."""
    parser = make_parser(
        "doctor",
        "Say what each sensor can see on this host, whether the broker answers, and one remedy\n"
        "for each problem. Run it as the user that runs the agent.",
        examples=_EXAMPLES,
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    add_settings(parser)
    parsed = parser.parse_args(arguments)
    settings = settings_of(parsed).settings

    from agent.doctor import exit_code, to_json, to_table

    checks = asyncio.run(_diagnose(settings))
    text = to_json(checks).decode() if parsed.json else to_table(checks)
    sys.stdout.write(text)
    return exit_code(checks)


async def _diagnose(settings: Settings) -> list[Check]:
    from agent.collect import HostCollector
    from agent.doctor import diagnose
    from rules.telemetry.clock import SystemClock

    clock = SystemClock()
    reports = await asyncio.to_thread(HostCollector(clock, settings).reports)
    return await diagnose(settings, clock=clock, reports=reports)
