"""Findings and their attributes, exclusions and previews of them.

In: input as ``input`` reads it. Out: answers in AWS's words, from the desk of assessments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from analyzer.aws.operations.paging import limit_of, token_of, with_page
from analyzer.aws.requests import finding_filter, tags_of
from analyzer.aws.values import Structure, exclusion, failures, finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.assessments import Assessments

_EXCLUSIONS_DEFAULT: Final = 100  # in one reply, unless asked for fewer


@dataclass(frozen=True, slots=True)
class FindingOperations:
    """Answers for findings and exclusions."""

    desk: Assessments

    async def list_findings(self, request: Mapping[str, Any]) -> Structure:
        """List the ARNs of findings, of ended runs."""
        page = await self.desk.list_findings(
            finding_filter(request, self.desk.package_ids),
            limit=limit_of(request),
            token=token_of(request),
        )
        return with_page("findingArns", page.items, page)

    async def describe_findings(self, request: Mapping[str, Any]) -> Structure:
        """Show findings."""
        found = await self.desk.describe_findings(request["findingArns"])
        return {
            "findings": [finding(row, self.desk.arns) for row in found.items],
            "failedItems": failures(found.failed),
        }

    async def add_attributes_to_findings(self, request: Mapping[str, Any]) -> Structure:
        """Set user attributes of findings."""
        failed = await self.desk.add_attributes(
            request["findingArns"], tags_of(request["attributes"])
        )
        return {"failedItems": failures(failed)}

    async def remove_attributes_from_findings(self, request: Mapping[str, Any]) -> Structure:
        """Take user attributes off findings."""
        failed = await self.desk.remove_attributes(request["findingArns"], request["attributeKeys"])
        return {"failedItems": failures(failed)}

    async def list_exclusions(self, request: Mapping[str, Any]) -> Structure:
        """List the ARNs of a run's exclusions."""
        page = await self.desk.list_exclusions(
            request["assessmentRunArn"],
            limit=limit_of(request, default=_EXCLUSIONS_DEFAULT),
            token=token_of(request),
        )
        return with_page("exclusionArns", [value.arn for value in page.items], page)

    async def describe_exclusions(self, request: Mapping[str, Any]) -> Structure:
        """Show exclusions: a map, unlike every other batch."""
        found = await self.desk.describe_exclusions(request["exclusionArns"])
        return {
            "exclusions": {value.arn: exclusion(value, self.desk.arns) for value in found.items},
            "failedItems": failures(found.failed),
        }

    async def create_exclusions_preview(self, request: Mapping[str, Any]) -> Structure:
        """Begin to work out what a run would exclude now."""
        token = await self.desk.create_exclusions_preview(request["assessmentTemplateArn"])
        return {"previewToken": token}

    async def get_exclusions_preview(self, request: Mapping[str, Any]) -> Structure:
        """Show what a run would exclude."""
        page = await self.desk.exclusions_preview(
            request["assessmentTemplateArn"],
            request["previewToken"],
            limit=limit_of(request, default=_EXCLUSIONS_DEFAULT),
            token=token_of(request),
        )
        if page is None:
            return {"previewStatus": "WORK_IN_PROGRESS"}
        shown = [exclusion(value, self.desk.arns) for value in page.items]
        return {"previewStatus": "COMPLETED", **with_page("exclusionPreviews", shown, page)}
