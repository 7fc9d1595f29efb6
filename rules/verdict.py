"""Verdicts: what the groups that fired, and what was watched, come to.

In: a rule, a host, how much was watched, the groups of any evaluator. Out: one of three outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from rules.detection import AbsenceDetection
from rules.format import Rule
from rules.outcome import Group, Outcome
from rules.watched import Watched


def conclude(
    rule: Rule, agent_id: str, seen: Watched, fired: Callable[[], tuple[Group, ...]]
) -> Outcome:
    """Return what a rule comes to on one host.

    Findings stand whatever the coverage, except those of absence: they are only claimed where
    ``min_coverage`` of the run was watched. Without findings the host is clean if half of the run
    was watched, else the rule was not evaluated.

    Args:
        rule: The rule.
        agent_id: The host.
        seen: How much of what the rule needs was watched.
        fired: Finds the groups, capped; it is not asked where they may not be claimed.
    """
    if seen.reason is not None and isinstance(rule.detection, AbsenceDetection):
        return Outcome(rule.id, agent_id, "not_evaluated", seen.reason, seen.coverage)
    groups = fired()
    if groups:
        return Outcome(rule.id, agent_id, "findings", None, seen.coverage, groups)
    if seen.reason is not None:
        return Outcome(rule.id, agent_id, "not_evaluated", seen.reason, seen.coverage)
    return Outcome(rule.id, agent_id, "clean", None, seen.coverage)


def conclude_all(
    rule: Rule,
    agents: Sequence[str],
    seen: Sequence[Watched],
    fired: Mapping[str, tuple[Group, ...]],
) -> list[Outcome]:
    """Return what a rule comes to on each of several hosts, as ``conclude`` says.

    Args:
        rule: The rule.
        agents: The hosts.
        seen: How much of what the rule needs was watched on each.
        fired: The groups, capped, by host; hosts without groups may be left out.
    """
    found = []
    for agent_id, own in zip(agents, seen, strict=True):
        groups = fired.get(agent_id, ())
        if own.reason is None and not groups:  # of hundreds of rules and hosts, nearly all
            found.append(Outcome(rule.id, agent_id, "clean", None, own.coverage))
        else:
            found.append(conclude(rule, agent_id, own, partial(tuple, groups)))
    return found
