"""Command line of the agent: finds the command and hands over to its module.

Nothing but the standard library is imported before a command is known, so that ``--version`` and
``--help`` answer at once and a command's memory is its own.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

from agent.errors import AgentError, ConfigError, SpoolError

COMMANDS: Final = {
    "run": "watch this host for as long as a run wants it, and send what is seen to the broker",
    "status": "what the agent on this host is doing",
    "doctor": "what each sensor can see on this host, and what would make it see more",
    "capture": "write events of this host to a file, without a broker",
    "read": "write the events that a pcap or pcapng file holds to a file",
}

DONE: Final = 0
USAGE: Final = 2  # wrong usage or configuration
UNREACHED: Final = 4  # no agent, broker or server answers, or it refuses
INTERRUPTED: Final = 130  # stopped by Ctrl+C, after saving

_HELP = """\
usage: proctor-agent [--help | --version] COMMAND ...

Watches what processes of this host do, while an assessment run wants it.

commands:
{commands}

examples:
  proctor-agent run --broker-url mqtt://10.0.0.5:1883 --tag Name=web-1
  proctor-agent run --config /etc/proctor/agent.toml --print-config
  proctor-agent status --json
  proctor-agent capture --for 10s --out events.ndjson
  proctor-agent read web.pcap --out events.ndjson

exit codes:
  0 done; 2 wrong usage or configuration; 4 agent or broker not reached; 130 stopped by Ctrl+C

'proctor-agent COMMAND --help' tells more.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``proctor-agent`` and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _dispatch(given)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has seen enough. Python would complain once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except AgentError as error:
        print(f"proctor-agent: {error}{_advice(error)}", file=sys.stderr)
        return USAGE if isinstance(error, ConfigError | SpoolError) else UNREACHED
    return code


def _dispatch(given: list[str]) -> int:
    first = given[0] if given else ""
    if first in {"-h", "--help"}:
        print(_help(), end="")
        return DONE
    if first == "--version":
        from agent.release import version

        print(f"proctor-agent {version()}")
        return DONE
    if first not in COMMANDS:
        print(f"proctor-agent: {_unknown(first)}", file=sys.stderr)
        return USAGE
    code: int = importlib.import_module(f"agent.commands.{first}").main(given[1:])
    return code


def _help() -> str:
    return _HELP.format(
        commands="\n".join(f"  {name:<9} {text}" for name, text in COMMANDS.items())
    )


def _unknown(first: str) -> str:
    if not first:
        return f"say what to do: {', '.join(COMMANDS)}. 'proctor-agent --help' tells more."
    import difflib

    near = difflib.get_close_matches(first, COMMANDS, n=1)
    hint = f"did you mean 'proctor-agent {near[0]}'?" if near else "try 'proctor-agent --help'."
    return f"there is no command {first!r}; {hint}"


def _advice(error: AgentError) -> str:
    if isinstance(error, ConfigError):
        return "\n'proctor-agent run --help' explains every setting."
    if isinstance(error, SpoolError):
        return "\nStop the other agent ('proctor-agent status' names it), or choose --state-dir."
    return ""


if __name__ == "__main__":
    sys.exit(main())
