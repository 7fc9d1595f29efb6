"""Schedules on the terminal.

In: schedules. Out: a table or canonical JSON on standard output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from rich.table import Table

from analyzer.words import time_text
from rules.telemetry.ndjson import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model import Schedule
    from analyzer.present.terminal import Terminal

_COLUMNS = ("Schedule", "When", "Zone", "Next (UTC)", "Last", "Template")


def show_schedules(terminal: Terminal, schedules: Sequence[Schedule], *, form: str) -> None:
    """Print schedules, one a row; as JSON with the outcomes that are kept."""
    if form == "json":
        values: list[dict[str, Any]] = [msgspec.to_builtins(schedule) for schedule in schedules]
        terminal.put(canonical(values) + b"\n")
        return
    if not schedules:
        terminal.say("No schedules yet.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in _COLUMNS:
        table.add_column(column, no_wrap=column in {"Schedule", "Next (UTC)"}, overflow="fold")
    for schedule in schedules:
        table.add_row(
            schedule.name,
            schedule.expression,
            schedule.zone,
            _next_text(schedule),
            _last_text(schedule),
            schedule.template_arn,
        )
    terminal.out.print(table)


def show_times(terminal: Terminal, times: Sequence[int], *, form: str) -> None:
    """Print moments, one a line."""
    if form == "json":
        terminal.put(canonical(list(times)) + b"\n")
        return
    for time_us in times:
        terminal.say(_moment(time_us))


def _moment(time_us: int) -> str:
    return time_text(time_us).partition(".")[0]


def _next_text(schedule: Schedule) -> str:
    if schedule.is_paused:
        return "paused"
    return "never" if schedule.next_us is None else _moment(schedule.next_us)


def _last_text(schedule: Schedule) -> str:
    if not schedule.outcomes:
        return ""
    last = schedule.outcomes[0]
    why = f": {last.message}" if last.message else ""
    return f"{last.result.lower()} {_moment(last.due_us)}{why}"
