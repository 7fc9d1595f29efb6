"""``proctor report``: the report of an ended run as a file to read, print or send.

In: a run, and which report of it. Out: a page, sheets, or the same in JSON.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, Literal

import msgspec
import typer

from analyzer.commands.desk import Desks, with_desks
from analyzer.commands.options import Data, OutFile, output_of
from analyzer.present.output import deliver
from analyzer.present.terminal import Terminal
from analyzer.reports.dossier import dossier_of
from analyzer.reports.material import Material, make_report
from analyzer.reports.occasion import Kind
from analyzer.reports.page import page_of
from analyzer.reports.stored import StoredReports
from rules.telemetry.ndjson import canonical

app = typer.Typer(add_completion=False, rich_markup_mode=None)

ReportFormat = Literal["html", "pdf", "json"]
_EPILOG: Final = """\b
Examples:
  proctor report last --out report.html
  proctor report 0-fim8kQ2x --kind findings --format pdf --out report.pdf

The full report also lists every rule that was checked, and what it came to.
"""


@app.command(epilog=_EPILOG)
def report(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Id of a run, the start of one, or last.")
    ] = "last",
    *,
    kind: Annotated[Kind, typer.Option(help="Which report.", show_choices=True)] = "full",
    form: Annotated[
        ReportFormat, typer.Option("--format", "-f", help="Format.", show_choices=True)
    ] = "html",
    out: OutFile = None,
    data: Data = None,
) -> None:
    """Write the report of an ended run."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        output_of(form, out)  # a place that cannot be written is named before the work
        found = await desks.runs.find(run)
        source = StoredReports(desks.runs, desks.store, clock=desks.clock)
        material = await source.material(found.id, kind)
        deliver(terminal, await asyncio.to_thread(_document, form, material), out)
        return 0

    with_desks(data, work)


def _document(form: ReportFormat, material: Material) -> bytes:
    if form != "json":
        return make_report(form, material)
    page = page_of(dossier_of(material.result, material.packages), material.occasion)
    return canonical(msgspec.to_builtins(page)) + b"\n"
