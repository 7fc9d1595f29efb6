"""An explanation on a terminal: why a rule fired on a host, or why not.

In: an explanation. Out: printed paragraphs, from the condition to what was not watched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analyzer.present.decisive import decisive_lines
from analyzer.present.evidence import event_line
from analyzer.present.nearest import key_words, nearest_lines
from analyzer.results.findings import text_of
from analyzer.words import counted, listed, percent, printable, time_text
from rules.columns import shown
from rules.detection import AbsenceDetection
from rules.durations import exact_duration
from rules.explain import firing_words
from rules.outcome import EVIDENCE_ENDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.present.terminal import Terminal
    from analyzer.replay.explained import Explanation, Witnessed
    from rules.funnel import Funnel, Step
    from rules.whynot import Unwatched

_MAX_GAPS: Final = 5  # stretches of time that are told one by one
_OUTCOMES: Final = {
    "findings": "findings",
    "clean": "clean, no findings",
    "not_evaluated": "not evaluated",
}


def show_explanation(terminal: Terminal, explanation: Explanation) -> None:
    """Print an explanation."""
    for line in _head(explanation):
        terminal.say(line)
    terminal.say()
    for line in firing_words(explanation.rule):
        terminal.out.print(line, soft_wrap=True)
    terminal.say()
    outcome = explanation.outcome
    terminal.say(f"Outcome: {_OUTCOMES[outcome.outcome]}; {percent(outcome.coverage)} watched")
    if outcome.reason is not None:
        terminal.say(outcome.reason, indent=2)
    for item in explanation.findings:
        _show_finding(terminal, item, explanation)
    if explanation.and_more:
        terminal.say(f"and {counted(explanation.and_more, 'more finding')}", indent=2)
    _section(terminal, "Rows", _funnel_lines(explanation.why.funnels))
    if not explanation.findings:
        _section(terminal, "Closest", nearest_lines(explanation))
    title = "Watched" + " without loss" * isinstance(explanation.rule.detection, AbsenceDetection)
    _section(terminal, title, _watched_lines(explanation))


def _head(explanation: Explanation) -> Iterator[str]:
    rule, host = explanation.rule, explanation.host
    yield f"{rule.id}: {rule.title}"
    yield f"{rule.severity} · package {explanation.package} · version {rule.version}"
    name = host.agent_id if host.hostname is None else f"{host.hostname} ({host.agent_id})"
    from_us, to_us = host.ledger.from_us, host.ledger.to_us
    yield printable(f"Host {name}, {host.run}, {time_text(from_us)} to {time_text(to_us)}")


def _section(terminal: Terminal, title: str, lines: Iterator[str]) -> None:
    terminal.say()
    terminal.say(title)
    for line in lines:
        indent = len(line) - len(line.lstrip())
        terminal.say(line.lstrip(), indent=2 + indent)


def _show_finding(terminal: Terminal, item: Witnessed, explanation: Explanation) -> None:
    terminal.say()
    finding = item.finding
    terminal.say(printable(text_of(finding, explanation.rule)), indent=2)
    who = f" of {key_words(finding.group)}" if finding.group else ""
    terminal.say(f"{counted(finding.count, 'row')}{who}", indent=4)
    for line in decisive_lines(finding, explanation.rule.detection):
        terminal.say(line, indent=4)
    terminal.say(f"{counted(len(item.witnesses), 'witness', 'witnesses')}:", indent=4)
    for line in _witness_lines(item):
        terminal.say(line, style="dim", indent=6)


def _witness_lines(item: Witnessed) -> Iterator[str]:
    rows = item.witnesses
    hidden = len(rows) - 2 * EVIDENCE_ENDS
    if hidden <= 0:
        yield from map(event_line, rows)
        return
    yield from map(event_line, rows[:EVIDENCE_ENDS])
    yield f"… {hidden:,} more …"
    yield from map(event_line, rows[-EVIDENCE_ENDS:])


def _funnel_lines(funnels: tuple[Funnel, ...]) -> Iterator[str]:
    for funnel in funnels:
        role = "" if funnel.role == "select" else f"{funnel.role}: "
        yield f"{role}{counted(funnel.rows, f'{funnel.telemetry} row')}"
        for step in funnel.steps:
            yield f"  {step.left:,} after: {printable(step.words)}{_seen(step)}"


def _seen(step: Step) -> str:
    if not step.seen:
        return ""
    values = [
        f"{'null' if value is None else printable(shown(value))} ({count:,})"
        for value, count in step.seen
    ]
    return f"; there were {', '.join(values)}"


def _watched_lines(explanation: Explanation) -> Iterator[str]:
    for kind in explanation.why.unwatched:
        yield f"{kind.telemetry}: {'all but ' + _gaps(kind) if kind.gaps else 'the whole run'}"
        if kind.reasons:
            yield f"  {printable(listed(kind.reasons))}"
    lost = [f"{events:,} ({cause})" for cause, events in explanation.why.lost.items()]
    if lost:
        yield f"events lost on the host: {printable(', '.join(lost))}"


def _gaps(kind: Unwatched) -> str:
    total_us = sum(to_us - from_us for from_us, to_us in kind.gaps)
    spans = [
        f"{time_text(from_us)} to {time_text(to_us)}" for from_us, to_us in kind.gaps[:_MAX_GAPS]
    ]
    more = len(kind.gaps) - len(spans)
    spans += [f"and {more:,} more"] if more else []
    return f"{exact_duration(total_us)}, {', '.join(spans)}"
