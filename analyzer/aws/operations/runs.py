"""Assessment runs, their agents and telemetry.

In: input as ``input`` reads it. Out: answers in AWS's words, from the desk of assessments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from analyzer.aws.operations.paging import limit_of, token_of, with_page
from analyzer.aws.requests import run_agent_filter, run_filter
from analyzer.aws.values import Structure, assessment_run, failures, run_agent, telemetry
from analyzer.errors import NoSuchEntityError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.assessments import Assessments
    from analyzer.model import Run, StopAction

_AGENTS_LIMIT: Final = 500  # in one reply


@dataclass(frozen=True, slots=True)
class RunOperations:
    """Answers for runs."""

    desk: Assessments

    async def start_assessment_run(self, request: Mapping[str, Any]) -> Structure:
        """Start a run of a template."""
        made = await self.desk.start_run(
            request["assessmentTemplateArn"], name=request.get("assessmentRunName")
        )
        return {"assessmentRunArn": made.arn}

    async def stop_assessment_run(self, request: Mapping[str, Any]) -> None:
        """Stop a run early, with its evaluation or without."""
        action: StopAction = request.get("stopAction", "START_EVALUATION")
        await self.desk.stop_run(request["assessmentRunArn"], action=action)

    async def describe_assessment_runs(self, request: Mapping[str, Any]) -> Structure:
        """Show runs with their history, numbers of findings and notifications."""
        found = await self.desk.describe_runs(request["assessmentRunArns"])
        failed = dict(found.failed)
        shown = []
        for run in found.items:
            try:
                shown.append(await self._described(run))
            except NoSuchEntityError:  # deleted in between
                failed[run.arn] = "ITEM_DOES_NOT_EXIST"
        return {"assessmentRuns": shown, "failedItems": failures(failed)}

    async def delete_assessment_run(self, request: Mapping[str, Any]) -> None:
        """Delete a run with its findings and reports."""
        await self.desk.delete_run(request["assessmentRunArn"])

    async def list_assessment_runs(self, request: Mapping[str, Any]) -> Structure:
        """List the ARNs of runs."""
        page = await self.desk.list_runs(
            run_filter(request, self.desk.package_ids),
            limit=limit_of(request),
            token=token_of(request),
        )
        return with_page("assessmentRunArns", [value.arn for value in page.items], page)

    async def list_assessment_run_agents(self, request: Mapping[str, Any]) -> Structure:
        """Show the agents of a run."""
        page = await self.desk.list_run_agents(
            request["assessmentRunArn"],
            run_agent_filter(request),
            limit=limit_of(request, most=_AGENTS_LIMIT),
            token=token_of(request),
        )
        return with_page("assessmentRunAgents", [run_agent(one) for one in page.items], page)

    async def get_telemetry_metadata(self, request: Mapping[str, Any]) -> Structure:
        """Show how much telemetry of each type a run has."""
        sums = await self.desk.telemetry_of(request["assessmentRunArn"])
        return {"telemetryMetadata": telemetry(sums)}

    async def _described(self, run: Run) -> Structure:
        counts = await self.desk.finding_counts(run.arn)
        messages = await self.desk.notifications(run.arn)
        packages = self.desk.package_arns(run.packages)
        return assessment_run(run, packages=packages, counts=counts, messages=messages)
