"""The outcome of a run on a terminal: findings, their number, and what could not be judged.

In: a result. Out: printed paragraphs. A run without findings says what was looked at.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from analyzer.present.findings import Labels, show_findings
from analyzer.results.document import SEVERITIES
from analyzer.words import counted, listed, minutes, percent, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.present.terminal import Terminal
    from analyzer.results.document import Result
    from rules.loader import Package

MAX_REASONS: Final = 10  # kinds of "not evaluated" that are told apart
_AMBER_BELOW: Final = 0.9  # coverage under which an empty result is no good news


def labels_of(result: Result, packages: Iterable[Package]) -> Labels:
    """Return what the findings of a result are told in."""
    rules = {rule.id: rule for package in packages for rule in package.rules}
    hosts = {host.agent_id: host.hostname or host.agent_id for host in result.hosts}
    return Labels(rules, hosts)


def show_outcome(
    terminal: Terminal, result: Result, packages: Iterable[Package], *, evidence: int = 0
) -> None:
    """Print a result: findings, their count, and what was not evaluated with the reasons."""
    show_findings(terminal, result.findings, labels_of(result, packages), evidence=evidence)
    if result.findings:
        if not evidence:
            terminal.say()
        terminal.say(count_line(result))
    else:
        looked = looked_at(result)
        amber = overall_coverage(result) < _AMBER_BELOW
        terminal.say(f"No findings. {looked[0].upper()}{looked[1:]}.", style="yellow" * amber)
    headline, *reasons = unevaluated_lines(result) or [""]
    if headline:
        terminal.say(headline)
    for reason in reasons:
        terminal.say(reason, indent=2)


def completed_line(result: Result, *, took_s: float, processes: int, stopped: bool) -> str:
    """Return ``✓ Run complete in 2:04. …``: how long, how much, how well it was watched."""
    summary = result.summary
    end = "Stopped early after" if stopped else "✓ Run complete in"
    evaluated = summary.evaluated_pairs
    return (
        f"{end} {minutes(took_s)}. {counted(summary.events, 'event')} from "
        f"{counted(processes, 'process', 'processes')}. "
        f"{evaluated} of {counted(summary.pairs, 'rule')} evaluated, "
        f"coverage {percent(overall_coverage(result))}."
    )


def count_line(result: Result) -> str:
    """Return ``3 findings: 1 High, 1 Medium, 1 Informational.``."""
    counts = result.summary.findings
    parts = [f"{counts[name]:,} {name}" for name in SEVERITIES if counts.get(name)]
    return f"{counted(len(result.findings), 'finding')}: {', '.join(parts)}."


def looked_at(result: Result) -> str:
    """Return what a run looked at: hosts, rules, events, coverage."""
    summary = result.summary
    parts = [counted(len(result.hosts), "host")]
    if len(result.hosts) == 1:
        parts.append(f"{summary.evaluated_pairs} of {counted(summary.rules, 'rule')} evaluated")
    else:
        pairs = counted(summary.pairs, "check", "checks")
        parts.append(f"{summary.evaluated_pairs:,} of {pairs} (rule and host) evaluated")
    parts.append(counted(summary.events, "event"))
    parts.append(f"coverage {percent(overall_coverage(result))}")
    return ", ".join(parts)


def overall_coverage(result: Result) -> float:
    """Return the mean coverage of the hosts; 0 without a host."""
    shares = [host.coverage for host in result.hosts]
    return sum(shares) / len(shares) if shares else 0.0


def unevaluated_lines(result: Result) -> list[str]:
    """Return what could not be judged: one line per reason with its rules and hosts."""
    missing = [outcome for outcome in result.outcomes if outcome.outcome == "not_evaluated"]
    if not missing:
        return []
    rules: dict[str, dict[str, None]] = defaultdict(dict)
    hosts: dict[str, dict[str, None]] = defaultdict(dict)
    for outcome in missing:
        reason = printable(outcome.reason or "no reason given")
        rules[reason][outcome.rule] = None
        hosts[reason][outcome.agent_id] = None
    lines = [f"Not evaluated: {_share_of_pairs(result, len(missing))}."]
    ordered = sorted(rules, key=lambda reason: (-len(rules[reason]), reason))
    for reason in ordered[:MAX_REASONS]:
        where = ""
        if len(result.hosts) > 1:
            where = f" on {counted(len(hosts[reason]), 'host')}"
        lines.append(f"{listed(list(rules[reason]))}{where}: {reason}")
    if len(ordered) > MAX_REASONS:
        lines.append(f"… and {counted(len(ordered) - MAX_REASONS, 'more reason')}; see -o json")
    return lines


def _share_of_pairs(result: Result, missing: int) -> str:
    if len(result.hosts) == 1:
        return f"{missing} of {counted(result.summary.rules, 'rule')}"
    return f"{missing:,} of {counted(result.summary.pairs, 'check')} (rule and host)"
