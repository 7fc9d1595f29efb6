"""Runs on the terminal: a list of them, and what one of them came to.

In: runs and results. Out: tables or canonical JSON on standard output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from rich.table import Table

from analyzer.present.outcome import looked_at, show_outcome
from analyzer.present.words import counted, percent, span, time_text
from analyzer.results import to_json
from rules.loader import load_packages
from rules.telemetry.ndjson import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model import Run
    from analyzer.present.terminal import Terminal
    from analyzer.results import Result

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
    terminal: Terminal, run: Run, result: Result | None, *, form: str, evidence: bool
) -> None:
    """Print what a run came to; of one without a result, its state and why."""
    if result is None:
        _show_state(terminal, run, form=form)
        return
    if form == "json":
        terminal.put(to_json(result))
        return
    terminal.note(f"✓ Run {run.id} is {run.state}: {looked_at(result)}.", style="bold")
    for host in result.hosts:
        name = host.hostname or host.agent_id
        events = counted(host.events, "event")
        terminal.note(f"  {name} ({host.agent_id}): {events}, coverage {percent(host.coverage)}")
    if run.message:
        terminal.note(f"Completed with errors: {run.message}", style="yellow")
    terminal.note()
    lines = _EVIDENCE_LINES if evidence else 0
    show_outcome(terminal, result, load_packages(), evidence=lines)


def _show_state(terminal: Terminal, run: Run, *, form: str) -> None:
    if form == "json":
        terminal.put(canonical(msgspec.to_builtins(run)) + b"\n")
        return
    terminal.say(f"Run {run.id} is {run.state}." + (f" {run.message}" if run.message else ""))
    if not run.state.is_final:
        events = counted(run.progress.events, "event")
        findings = counted(sum(run.progress.findings.values()), "provisional finding")
        terminal.say(f"{events}, {findings} so far.")
