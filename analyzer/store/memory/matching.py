"""What filters let pass, one value at a time."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.model import (
        FindingFilter,
        FindingRow,
        Range,
        Run,
        RunAgent,
        RunAgentFilter,
        RunFilter,
        Target,
        TargetFilter,
        Template,
        TemplateFilter,
    )


def passes_target(what: TargetFilter, target: Target) -> bool:
    """Tell whether a target is asked for."""
    return matches(what.name_pattern, target.name)


def passes_template(what: TemplateFilter, template: Template) -> bool:
    """Tell whether a template is asked for."""
    return (
        _is_any(what.target_arns, template.target_arn)
        and matches(what.name_pattern, template.name)
        and lies_in(what.duration_s, template.duration_s)
        and _has_any(what.packages, template.packages)
    )


def passes_run(what: RunFilter, run: Run) -> bool:
    """Tell whether a run is asked for."""
    return (
        bool(run.arn)
        and _is_any(what.template_arns, run.template_arn)
        and matches(what.name_pattern, run.name)
        and _is_any(tuple(map(str, what.states)), run.state.value)
        and lies_in(what.duration_s, run.duration_s)
        and _has_any(what.packages, run.packages)
        and lies_in(what.started_us, run.started_us)
        and lies_in(what.completed_us, run.completed_us)
        and lies_in(what.state_changed_us, run.state_changed_us)
    )


def passes_agent(what: RunAgentFilter, agent: RunAgent) -> bool:
    """Tell whether an agent of a run is asked for."""
    return (not what.healths or agent.code.health in what.healths) and (
        not what.codes or agent.code in what.codes
    )


def passes_finding(what: FindingFilter, row: FindingRow) -> bool:
    """Tell whether a finding is asked for."""
    return (
        _is_any(what.run_arns, row.run_arn)
        and _is_any(what.agent_ids, row.agent_id)
        and _is_any(what.auto_scaling_groups, row.auto_scaling_group)
        and _is_any(what.rules, row.rule)
        and _is_any(what.severities, row.severity)
        and _is_any(what.packages, row.package)
        and set(what.attributes) <= set(row.attributes)
        and set(what.user_attributes) <= set(row.user_attributes)
        and lies_in(what.created_us, row.created_us)
    )


def matches(pattern: str | None, name: str) -> bool:
    """Tell whether a name matches a pattern in which ``*`` alone is special."""
    if pattern is None:
        return True
    return fnmatchcase(name, "".join(f"[{c}]" if c in "?[" else c for c in pattern))


def lies_in(limits: Range, number: int | None) -> bool:
    """Tell whether a number lies in a range; none lies in the open one alone."""
    if number is None:
        return limits.low is None and limits.high is None
    return (limits.low is None or number >= limits.low) and (
        limits.high is None or number <= limits.high
    )


def _is_any(wanted: tuple[str, ...], value: str) -> bool:
    return not wanted or value in wanted


def _has_any(wanted: tuple[str, ...], values: tuple[str, ...]) -> bool:
    return not wanted or bool(set(wanted) & set(values))
