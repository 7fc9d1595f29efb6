"""``proctor rules``: the same as ``python -m rules``."""

from __future__ import annotations

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def rules(context: typer.Context) -> None:
    """Check, show, write and explain rules."""
    from rules.cli import main

    raise typer.Exit(main(context.args))
