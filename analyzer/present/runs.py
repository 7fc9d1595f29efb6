"""Runs on the terminal: a list of them, and what one of them came to.

In: runs and results. Out: tables or canonical JSON on standard output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from rich.table import Table

from analyzer.errors import AnalyzerError, AssessmentError
from analyzer.present.outcome import looked_at, show_outcome
from analyzer.sql import file_name
from analyzer.words import counted, percent, span, time_text
from rules.telemetry.ndjson import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from analyzer.model import Run
    from analyzer.present.output import Output
    from analyzer.present.terminal import Terminal
    from analyzer.results.document import Result
    from rules.loader import Package

_EVIDENCE_LINES = 3  # events shown under a finding


def show_runs(terminal: Terminal, runs: Sequence[Run], *, form: str) -> None:
    """Print runs, one a row."""
    if form == "json":
        terminal.put(canonical(msgspec.to_builtins(list(runs))) + b"\n")
        return
    if not runs:
        terminal.say("No runs yet.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Run", "State", "Created", "For", "Hosts", "Events", "Findings", "Name"):
        table.add_column(column, no_wrap=column != "Name")
    for run in runs:
        findings = sum(run.progress.findings.values())
        table.add_row(
            run.id,
            run.state.value,
            time_text(run.created_us),
            span(run.duration_s),
            str(len(run.agents)),
            f"{run.progress.events:,}",
            str(findings) if run.state.is_final else f"{findings} provisional",
            run.name,
        )
    terminal.out.print(table)


def show_result(
    terminal: Terminal,
    run: Run,
    result: Result | None,
    packages: Sequence[Package],
    *,
    output: Output,
) -> None:
    """Write what a run came to; of one without a result, print its state and why.

    Raises:
        AssessmentError: There is no result, and something else than its state was asked for.
        AnalyzerError: The file cannot be written.
    """
    if result is None:
        if output.format not in ("table", "json") or output.path is not None:
            raise AssessmentError(
                f"run {run.id} is {run.state} and has no result to write as {output.format}"
            )
        _show_state(terminal, run, form=output.format)
        return
    if output.format != "table" or output.path is not None:
        try:
            output.write(terminal, result, packages)
        except OSError as error:
            raise AnalyzerError(f"cannot write {output.path}: {error.strerror}") from error
        return
    terminal.note(f"✓ Run {run.id} is {run.state}: {looked_at(result)}.", style="bold")
    for host in result.hosts:
        name = host.hostname or host.agent_id
        events = counted(host.events, "event")
        terminal.note(f"  {name} ({host.agent_id}): {events}, coverage {percent(host.coverage)}")
    if run.message:
        terminal.note(f"Completed with errors: {run.message}", style="yellow")
    terminal.note()
    lines = _EVIDENCE_LINES if output.evidence else 0
    show_outcome(terminal, result, packages, evidence=lines)


def show_export(terminal: Terminal, rows: Mapping[str, int], out: Path) -> None:
    """Print what was written: rows by telemetry kind, and how to ask rules of them."""
    terminal.say(f"Wrote {counted(sum(rows.values()), 'event')} to {out}.")
    for kind, number in sorted(rows.items()):
        terminal.say(f"{file_name(kind)}  {number:,}", indent=2)
    terminal.note(f"'proctor rules explain ID --sql --parquet {out}' prints a rule as SQL on it.")


def _show_state(terminal: Terminal, run: Run, *, form: str) -> None:
    if form == "json":
        terminal.put(canonical(msgspec.to_builtins(run)) + b"\n")
        return
    terminal.say(f"Run {run.id} is {run.state}." + (f" {run.message}" if run.message else ""))
    if not run.state.is_final:
        events = counted(run.progress.events, "event")
        findings = counted(sum(run.progress.findings.values()), "provisional finding")
        terminal.say(f"{events}, {findings} so far.")
