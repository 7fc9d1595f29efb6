"""``proctor runs diff``: what became of findings between two runs.

In: one run, or two. Out: a comparison on standard output or in a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from analyzer.commands.desk import with_desk
from analyzer.commands.options import Data, OutFile
from analyzer.errors import AssessmentError
from analyzer.present.outcome import labels_of
from analyzer.present.output import deliver
from analyzer.present.run_comparison import show_run_comparison
from analyzer.present.terminal import Terminal
from analyzer.results.comparison import (
    Judgement,
    RunComparison,
    compare_runs,
    to_comparison_json,
    to_comparison_ndjson,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model import Run
    from analyzer.results.document import Result
    from analyzer.runs.desk import RunDesk
    from rules.loader import Package

DiffFormat = Literal["table", "json", "ndjson"]
DIFF_EPILOG: Final = """\b
Examples:
  proctor runs diff                    the last run, against the one before it
  proctor runs diff 0-fim8 0-9xQ2      from the first to the second
  proctor runs diff last -o json --out diff.json

The run before it is the newest earlier one that was judged by the same rules packages.
"""


def diff(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run; with a second one, the earlier of them.")
    ] = "last",
    later: Annotated[
        str | None, typer.Argument(metavar="LATER", help="The later run.", show_default=False)
    ] = None,
    *,
    persisting: Annotated[
        bool, typer.Option("--persisting", help="List what is in both runs, too.")
    ] = False,
    output: Annotated[
        DiffFormat, typer.Option("--output", "-o", help="Format.", show_choices=True)
    ] = "table",
    out: OutFile = None,
    data: Data = None,
) -> None:
    """Show which findings are new, resolved or not comparable since an earlier run."""

    async def work(terminal: Terminal, desk: RunDesk) -> int:
        if later is None:
            after = await desk.find(run)
            before = await desk.previous(after)
        else:
            before, after = await desk.find(run), await desk.find(later)
        sides = [(await _result(desk, each), desk.packages(each)) for each in (before, after)]
        compared = compare_runs(*(Judgement.of(*side) for side in sides))

        def show(shown: Terminal) -> None:
            show_run_comparison(shown, compared, texts=_texts(sides), persisting=persisting)

        deliver(terminal, show if output == "table" else _document(compared, output), out)
        return 0

    with_desk(data, work)


async def _result(desk: RunDesk, run: Run) -> Result:
    result = await desk.result(run)
    if result is None:
        raise AssessmentError(f"run {run.id} is {run.state} and has no result to compare")
    return result


def _document(comparison: RunComparison, form: DiffFormat) -> bytes:
    return to_comparison_json(comparison) if form == "json" else to_comparison_ndjson(comparison)


def _texts(sides: Sequence[tuple[Result, Sequence[Package]]]) -> dict[str, str]:
    """Return every issue in a sentence, as it is now where it is in both."""
    texts: dict[str, str] = {}
    for result, packages in sides:
        labels = labels_of(result, packages)
        texts |= {item.issue_id: labels.text(item) for item in result.findings}
    return texts
