"""Rehearsal: the tests inside a rule file, run on the reference evaluator.

In: a rule with its tests. Out: what each test expected and did not get, in sentences.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from rules.cases import DEFAULT_AGENT, Case
from rules.format import Rule
from rules.outcome import Outcome
from rules.reference import group_rows, judge
from rules.telemetry.batch import Row
from rules.telemetry.ledger import Intervals, Ledger
from rules.telemetry.ndjson import canonical

_PPM: Final = 1_000_000
_SHOWN: Final = 3  # findings named in one message


@dataclass(frozen=True, slots=True)
class Stage:
    """A test made ready: it can be run on a rule and on each of its mutants."""

    case: Case
    rows: dict[str, dict[str, list[Row]]]
    ledger: Ledger


def stages(rule: Rule) -> list[Stage]:
    """Return the tests of a rule, made ready."""
    return [_stage(case) for case in rule.tests]


def mismatch(rule: Rule, stage: Stage) -> str | None:
    """Return how the rule's outcome differs from what the test expects, or None.

    Expected groups are cut to the rule's ``group_by``, so that a mutant that groups by less is
    judged by how many findings are left.
    """
    outcomes = [
        judge(rule, agent, rows, stage.ledger, max_groups=None)
        for agent, rows in sorted(stage.rows.items())
    ]
    blind = [outcome for outcome in outcomes if outcome.outcome == "not_evaluated"]
    is_blind = any(outcome.agent_id == DEFAULT_AGENT for outcome in blind)
    if stage.case.not_evaluated and not is_blind:
        return "the rule was evaluated, and should not have been"
    if blind and not stage.case.not_evaluated:
        return f"the rule was not evaluated on {blind[0].agent_id}: {blind[0].reason}"
    fired = Counter(_fired(outcomes))
    expected = Counter(_expected(rule, stage.case))
    told = [
        *_told(expected - fired, "expected and did not fire"),
        *_told(fired - expected, "fired and was not expected"),
    ]
    return "; ".join(told) or None


def _stage(case: Case) -> Stage:
    rows = group_rows(row for event in case.events for row in event.rows())
    rows.setdefault(DEFAULT_AGENT, {})
    ledger = Ledger(0, case.duration_us)
    # The shortest beginning of the run whose share is the stated one.
    watched_us = -(-round(case.coverage * _PPM) * case.duration_us // _PPM)
    for agent_id in rows:
        ledger.add_host(agent_id, watched=Intervals([(0, watched_us)]))
    return Stage(case, rows, ledger)


def _fired(outcomes: Iterable[Outcome]) -> Iterator[bytes]:
    for outcome in outcomes:
        for group in outcome.groups:
            yield _finding(outcome.agent_id, group.key)


def _expected(rule: Rule, case: Case) -> Iterator[bytes]:
    for expected in case.expect:
        agent_id = expected.get("agent_id", DEFAULT_AGENT)
        yield _finding(agent_id, {name: expected.get(name) for name in rule.group_by})


def _finding(agent_id: str, key: dict[str, Any]) -> bytes:
    return canonical({"agent_id": agent_id, **key})


def _told(findings: Counter[bytes], what: str) -> Iterator[str]:
    texts = sorted(finding.decode() for finding in findings.elements())
    if texts:
        more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
        yield f"{what}: {', '.join(texts[:_SHOWN])}{more}"
