"""AWS's structures as the domain's filters: what lists are asked.

In: input as ``input`` reads it. Out: frozen filters of ``analyzer/model``, with packages by id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

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

_US_PER_MS: Final = 1_000


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
        duration_s=_seconds(given, "durationRange"),
        packages=package_ids(given.get("rulesPackageArns", ())),
    )


def run_filter(request: Mapping[str, Any], package_ids: PackageIds) -> RunFilter:
    """Return what ListAssessmentRuns asks for."""
    given = request.get("filter", {})
    return RunFilter(
        template_arns=tuple(request.get("assessmentTemplateArns", ())),
        name_pattern=given.get("namePattern"),
        states=tuple(map(RunState, given.get("states", ()))),
        duration_s=_seconds(given, "durationRange"),
        packages=package_ids(given.get("rulesPackageArns", ())),
        started_us=_times(given, "startTimeRange"),
        completed_us=_times(given, "completionTimeRange"),
        state_changed_us=_times(given, "stateChangeTimeRange"),
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
        created_us=_times(given, "creationTimeRange"),
    )


def _seconds(given: Mapping[str, Any], name: str) -> Range:
    value = given.get(name, {})
    return Range(value.get("minSeconds"), value.get("maxSeconds"))


def _times(given: Mapping[str, Any], name: str) -> Range:
    """Return a range of times: replies show milliseconds, and the last one is in it as a whole."""
    value = given.get(name, {})
    end_us = value.get("endDate")
    return Range(
        value.get("beginDate"),
        None if end_us is None else end_us // _US_PER_MS * _US_PER_MS + _US_PER_MS - 1,
    )
