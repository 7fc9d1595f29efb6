"""Routes of notifications on the terminal.

In: routes. Out: a table or canonical JSON on standard output; of secrets only where they stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from rich.table import Table

from rules.telemetry.ndjson import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model import Route
    from analyzer.present.terminal import Terminal


def show_routes(terminal: Terminal, routes: Sequence[Route], *, form: str) -> None:
    """Print routes, one a row."""
    if form == "json":
        values: list[dict[str, Any]] = [msgspec.to_builtins(route) for route in routes]
        terminal.put(canonical(values) + b"\n")
        return
    if not routes:
        terminal.say("No routes yet.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Route", "Channel", "To", "Secret in", "Events", "From severity"):
        table.add_column(column, no_wrap=column == "Route", overflow="fold")
    for route in routes:
        options = route.options
        table.add_row(
            route.name,
            options.get("channel", ""),
            route.url,
            options.get("secret_file", ""),
            ", ".join(event_name(event) for event in route.events) or "all",
            options.get("min_severity", ""),
        )
    terminal.out.print(table)


def event_name(event: str) -> str:
    """Return an event as the command line writes it, such as ``run-completed``."""
    return event.removeprefix("ASSESSMENT_").lower().replace("_", "-")
