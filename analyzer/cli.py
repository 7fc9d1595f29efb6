"""``proctor``: the command line of the analyzer.

In: arguments. Out: the exit code of one command. A command's module is imported when it is called,
so that ``proctor --help`` stays fast.
"""

from __future__ import annotations

import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

COMMANDS: Final = {
    "check": "Assess this host now, or judge a recording.",
    "serve": "Collect telemetry, judge assessment runs, serve the AWS API.",
    "runs": "Start, follow, stop and read assessment runs.",
    "targets": "Say which hosts are assessed.",
    "templates": "Say how they are assessed, and start runs of that.",
    "findings": "Read findings, accept risks, call issues resolved.",
    "report": "Write the report of a run: a page, or sheets.",
    "keys": "Make, show and revoke access keys of the AWS API.",
    "replay": "Judge stored telemetry again, and show what differs.",
    "schedules": "Start runs again and again, by rate or cron expression.",
    "notify": "Tell webhooks, chat rooms and MQTT what happens.",
    "rules": "Check, show, write and explain rules.",
}
"""Command → what it does; its module is ``analyzer.commands.<command>``."""


class LazyGroup(TyperGroup):
    """Knows what commands do, and imports the one that is called."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 (Typer's own)
        options["commands"] = {
            name: TyperCommand(name, help=text, rich_markup_mode=None)
            for name, text in COMMANDS.items()
        }
        super().__init__(**options)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 (Typer's own)
        """Return the called command, imported now."""
        name, _, rest = super().resolve_command(ctx, args)
        if name is None:
            return None, None, rest
        command = get_command(import_module(f"analyzer.commands.{name}").app)
        command.name = name
        return name, command, rest


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 gate failed, 2 wrong usage or rule file, 3 inconclusive, "
    "4 server or broker not reached, 130 stopped by Ctrl+C after saving.",
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 (Typer calls it so)
    if wanted:
        from agent.release import version

        print(f"proctor {version()}")
        raise typer.Exit


@app.callback()
def proctor(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Assess what the processes of your hosts do, by rules, and rank the findings.

    proctor check --for 2m assesses this host.
    """


def main() -> None:
    """Run ``proctor``; never returns."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="proctor")


if __name__ == "__main__":
    main()
