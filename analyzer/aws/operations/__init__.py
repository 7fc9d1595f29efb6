"""The operations: what answers each of them.

In: the desks. Out: operation → the method that answers it. A method takes input as ``input`` reads
it, and returns the answer as ``output`` writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.aws.operations.findings import FindingOperations
from analyzer.aws.operations.packages import PackageOperations
from analyzer.aws.operations.reports import ReportOperations
from analyzer.aws.operations.runs import RunOperations
from analyzer.aws.operations.targets import TargetOperations
from analyzer.aws.operations.templates import TemplateOperations

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from analyzer.assessments import Assessments
    from analyzer.aws.operations.templates import TopicCheck
    from analyzer.aws.protocol import Handler
    from rules.telemetry import Clock

__all__ = ["ReportOperations", "handlers"]


def handlers(
    desk: Assessments, *, reports: ReportOperations, check_topic: TopicCheck, clock: Clock
) -> Mapping[str, Handler]:
    """Return what answers each operation."""
    targets = TargetOperations(desk, clock)
    templates = TemplateOperations(desk, check_topic)
    runs = RunOperations(desk)
    findings = FindingOperations(desk)
    packages = PackageOperations(desk)
    tidy = reports.forget_deleted
    return {
        "CreateResourceGroup": targets.create_resource_group,
        "DescribeResourceGroups": targets.describe_resource_groups,
        "CreateAssessmentTarget": targets.create_assessment_target,
        "UpdateAssessmentTarget": targets.update_assessment_target,
        "DescribeAssessmentTargets": targets.describe_assessment_targets,
        "ListAssessmentTargets": targets.list_assessment_targets,
        "DeleteAssessmentTarget": _then(targets.delete_assessment_target, tidy),
        "PreviewAgents": targets.preview_agents,
        "CreateAssessmentTemplate": templates.create_assessment_template,
        "DescribeAssessmentTemplates": templates.describe_assessment_templates,
        "ListAssessmentTemplates": templates.list_assessment_templates,
        "DeleteAssessmentTemplate": _then(templates.delete_assessment_template, tidy),
        "SetTagsForResource": templates.set_tags_for_resource,
        "ListTagsForResource": templates.list_tags_for_resource,
        "SubscribeToEvent": templates.subscribe_to_event,
        "UnsubscribeFromEvent": templates.unsubscribe_from_event,
        "ListEventSubscriptions": templates.list_event_subscriptions,
        "StartAssessmentRun": runs.start_assessment_run,
        "StopAssessmentRun": runs.stop_assessment_run,
        "DeleteAssessmentRun": _then(runs.delete_assessment_run, tidy),
        "DescribeAssessmentRuns": runs.describe_assessment_runs,
        "ListAssessmentRuns": runs.list_assessment_runs,
        "ListAssessmentRunAgents": runs.list_assessment_run_agents,
        "GetTelemetryMetadata": runs.get_telemetry_metadata,
        "GetAssessmentReport": reports.get_assessment_report,
        "ListFindings": findings.list_findings,
        "DescribeFindings": findings.describe_findings,
        "AddAttributesToFindings": findings.add_attributes_to_findings,
        "RemoveAttributesFromFindings": findings.remove_attributes_from_findings,
        "ListExclusions": findings.list_exclusions,
        "DescribeExclusions": findings.describe_exclusions,
        "CreateExclusionsPreview": findings.create_exclusions_preview,
        "GetExclusionsPreview": findings.get_exclusions_preview,
        "ListRulesPackages": packages.list_rules_packages,
        "DescribeRulesPackages": packages.describe_rules_packages,
        "RegisterCrossAccountAccessRole": packages.register_cross_account_access_role,
        "DescribeCrossAccountAccessRole": packages.describe_cross_account_access_role,
    }


def _then(
    delete: Callable[[Mapping[str, Any]], Awaitable[None]], tidy: Callable[[], Awaitable[None]]
) -> Handler:
    async def both(request: Mapping[str, Any]) -> None:
        await delete(request)
        await tidy()

    return both
