"""``proctor schedules``: recurring assessment runs, which the server starts.

In: options, and the store that the server uses. Out: schedules on standard output, an exit code.
"""

from __future__ import annotations

from typing import Annotated, Final

import typer

from analyzer.commands.desk import with_store
from analyzer.commands.ending import finish
from analyzer.commands.options import Data, ListFormat
from analyzer.data_folder import DataFolder
from analyzer.present.schedules import show_schedules, show_times
from analyzer.present.terminal import Terminal
from analyzer.scheduler.desk import ScheduleDesk, expression_of, next_times
from analyzer.scheduler.expressions import parse_expression
from analyzer.scheduler.templates import template_arn
from analyzer.store import Store
from rules.telemetry.clock import SystemClock

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Start runs of a template again and again, by rate or cron expression.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the schedule.")]
Zone = Annotated[str, typer.Option(metavar="ZONE", help="Time zone of a cron expression.")]
_CREATE_EPILOG: Final = """\b
Examples:
  proctor schedules create nightly --template weekly --at 'cron(0 2 * * ? *)' --zone Europe/Zurich
  proctor schedules create often --template arn:aws:inspector:... --at 'rate(6 hours)'

The expressions are EventBridge's: cron(minute hour day-of-month month day-of-week year) with
L, W and #, and rate(N minutes|hours|days), which counts from now. A run that is due while the
server is away is made up for within 15 minutes; while a run of the template is active, none is
started. Both are recorded.
"""
_NEXT_EPILOG: Final = """\b
Examples:
  proctor schedules next nightly
  proctor schedules next 'cron(0 8 ? * MON-FRI *)' --zone Europe/Zurich --count 3
"""


@app.command("list")
def list_schedules(*, output: ListFormat = "table", data: Data = None) -> None:
    """List schedules with their next time and what came of the last."""

    async def work(terminal: Terminal, _: DataFolder, store: Store) -> int:
        show_schedules(terminal, await _desk(store).all(), form=output)
        return 0

    with_store(data, work)


@app.command(epilog=_CREATE_EPILOG)
def create(
    name: Name,
    *,
    template: Annotated[
        str, typer.Option(metavar="TEMPLATE", help="Name or ARN of an assessment template.")
    ],
    at: Annotated[str, typer.Option(metavar="EXPRESSION", help="cron(...) or rate(...).")],
    zone: Zone = "UTC",
    data: Data = None,
) -> None:
    """Create a schedule; the server keeps to it from then on."""

    async def work(terminal: Terminal, _: DataFolder, store: Store) -> int:
        arn = await template_arn(store, template)
        made = await _desk(store).create(name, template_arn=arn, expression=at, zone=zone)
        show_schedules(terminal, [made], form="table")
        return 0

    with_store(data, work)


@app.command()
def pause(name: Name, *, data: Data = None) -> None:
    """Start no more runs until it is resumed."""

    async def work(terminal: Terminal, _: DataFolder, store: Store) -> int:
        await _desk(store).pause(name)
        terminal.note(f"Paused {name}.")
        return 0

    with_store(data, work)


@app.command()
def resume(name: Name, *, data: Data = None) -> None:
    """Go on with the next time to come."""

    async def work(terminal: Terminal, _: DataFolder, store: Store) -> int:
        show_schedules(terminal, [await _desk(store).resume(name)], form="table")
        return 0

    with_store(data, work)


@app.command()
def delete(name: Name, *, data: Data = None) -> None:
    """Delete a schedule; runs that it started stay."""

    async def work(terminal: Terminal, _: DataFolder, store: Store) -> int:
        await _desk(store).delete(name)
        terminal.note(f"Deleted {name}.")
        return 0

    with_store(data, work)


@app.command("next", epilog=_NEXT_EPILOG)
def next_command(
    what: Annotated[
        str, typer.Argument(metavar="NAME|EXPRESSION", help="A schedule, or an expression to try.")
    ],
    *,
    zone: Zone = "UTC",
    count: Annotated[int, typer.Option(min=1, max=1_000, help="How many.")] = 5,
    output: ListFormat = "table",
    data: Data = None,
) -> None:
    """Print the next times of a schedule or of an expression, in UTC; as JSON in microseconds."""
    now_us = SystemClock().now_us()

    def try_out(terminal: Terminal) -> int:
        expression = parse_expression(what, zone=zone, anchor_us=now_us)
        show_times(terminal, next_times(expression, after_us=now_us, count=count), form=output)
        return 0

    async def work(terminal: Terminal, _: DataFolder, store: Store) -> int:
        expression = expression_of(await _desk(store).get(what))
        show_times(terminal, next_times(expression, after_us=now_us, count=count), form=output)
        return 0

    if "(" in what:
        finish(try_out)
    else:
        with_store(data, work)


def _desk(store: Store) -> ScheduleDesk:
    return ScheduleDesk(store, clock=SystemClock())
