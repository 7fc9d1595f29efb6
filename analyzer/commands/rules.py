"""``proctor rules``: ``python -m rules``, with an ``explain`` that knows runs, recordings and SQL.

In: arguments. Out: what the rules package, or ``analyzer.commands.explain``, makes of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer
from typer.main import get_command

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_OWN: Final = ("--run", "--events", "--host", "--data", "--sql", "--parquet", "--help", "-h")
"""Options of ``explain`` that ``python -m rules`` does not have, or that speak of those."""


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def rules(context: typer.Context) -> None:
    """Check, show, write and explain rules."""
    if _has_own_option(context.args):
        from analyzer.commands.explain import app as explain

        get_command(explain).main(context.args[1:], prog_name="proctor rules explain")
    from rules.cli import main

    raise typer.Exit(main(context.args))


def _has_own_option(arguments: Sequence[str]) -> bool:
    options = [argument.partition("=")[0] for argument in arguments[1:]]
    return arguments[:1] == ["explain"] and any(option in _OWN for option in options)
