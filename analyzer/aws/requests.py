"""AWS's structures as the domain's filters: what lists are asked.

In: input as ``input`` reads it. Out: frozen filters of ``analyzer/model``, with packages by id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.model import (
    FindingFilter,
    Health,
    HealthCode,
    Range,
    RunAgentFilter,
    RunFilter,
    RunState,
    Tag,
    TargetFilter,
    TemplateFilter,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    PackageIds = Callable[[Iterable[str]], tuple[str, ...]]


def tags_of(pairs: Iterable[Mapping[str, str]]) -> tuple[Tag, ...]:
    """Return tags or attributes."""
    return tuple(Tag(pair["key"], pair.get("value")) for pair in pairs)


def target_filter(request: Mapping[str, Any]) -> TargetFilter:
    """Return what ListAssessmentTargets asks for."""
    return TargetFilter(request.get("filter", {}).get("assessmentTargetNamePattern"))


def template_filter(request: Mapping[str, Any], package_ids: PackageIds) -> TemplateFilter:
    """Return what ListAssessmentTemplates asks for."""
    given = request.get("filter", {})
    return TemplateFilter(
        target_arns=tuple(request.get("assessmentTargetArns", ())),
        name_pattern=given.get("namePattern"),
        duration_s=_range(given, "durationRange"),
        packages=package_ids(given.get("rulesPackageArns", ())),
    )


def run_filter(request: Mapping[str, Any], package_ids: PackageIds) -> RunFilter:
    """Return what ListAssessmentRuns asks for."""
    given = request.get("filter", {})
    return RunFilter(
        template_arns=tuple(request.get("assessmentTemplateArns", ())),
        name_pattern=given.get("namePattern"),
        states=tuple(map(RunState, given.get("states", ()))),
        duration_s=_range(given, "durationRange"),
        packages=package_ids(given.get("rulesPackageArns", ())),
        started_us=_range(given, "startTimeRange"),
        completed_us=_range(given, "completionTimeRange"),
        state_changed_us=_range(given, "stateChangeTimeRange"),
    )


def run_agent_filter(request: Mapping[str, Any]) -> RunAgentFilter:
    """Return what ListAssessmentRunAgents asks for."""
    given = request.get("filter", {})
    return RunAgentFilter(
        healths=tuple(map(Health, given.get("agentHealths", ()))),
        codes=tuple(map(HealthCode, given.get("agentHealthCodes", ()))),
    )


def finding_filter(request: Mapping[str, Any], package_ids: PackageIds) -> FindingFilter:
    """Return what ListFindings asks for."""
    given = request.get("filter", {})
    return FindingFilter(
        run_arns=tuple(request.get("assessmentRunArns", ())),
        agent_ids=tuple(given.get("agentIds", ())),
        auto_scaling_groups=tuple(given.get("autoScalingGroups", ())),
        rules=tuple(given.get("ruleNames", ())),
        severities=tuple(given.get("severities", ())),
        packages=package_ids(given.get("rulesPackageArns", ())),
        attributes=tags_of(given.get("attributes", ())),
        user_attributes=tags_of(given.get("userAttributes", ())),
        created_us=_range(given, "creationTimeRange"),
    )


def _range(given: Mapping[str, Any], name: str) -> Range:
    value = given.get(name, {})
    low = value.get("minSeconds", value.get("beginDate"))
    return Range(low, value.get("maxSeconds", value.get("endDate")))
