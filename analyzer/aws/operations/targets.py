"""Resource groups and assessment targets.

In: input as ``input`` reads it. Out: answers in AWS's words, from the desk of assessments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from analyzer.aws.operations.paging import limit_of, token_of, with_page
from analyzer.aws.requests import tags_of, target_filter
from analyzer.aws.values import Structure, failures, resource_group, target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.assessments import Assessments
    from analyzer.model import Agent
    from rules.telemetry import Clock

_LONGEST_VERSION: Final = 128  # characters of an agent's or a kernel's


@dataclass(frozen=True, slots=True)
class TargetOperations:
    """Answers for resource groups and targets."""

    desk: Assessments
    clock: Clock

    async def create_resource_group(self, request: Mapping[str, Any]) -> Structure:
        """Make a tag selector."""
        group = await self.desk.create_resource_group(tags_of(request["resourceGroupTags"]))
        return {"resourceGroupArn": group.arn}

    async def describe_resource_groups(self, request: Mapping[str, Any]) -> Structure:
        """Show resource groups."""
        found = await self.desk.describe_resource_groups(request["resourceGroupArns"])
        return {
            "resourceGroups": [resource_group(group) for group in found.items],
            "failedItems": failures(found.failed),
        }

    async def create_assessment_target(self, request: Mapping[str, Any]) -> Structure:
        """Make a target; without resource group it takes every host."""
        made = await self.desk.create_target(
            request["assessmentTargetName"], resource_group_arn=request.get("resourceGroupArn")
        )
        return {"assessmentTargetArn": made.arn}

    async def update_assessment_target(self, request: Mapping[str, Any]) -> None:
        """Replace name and resource group."""
        await self.desk.update_target(
            request["assessmentTargetArn"],
            name=request["assessmentTargetName"],
            resource_group_arn=request.get("resourceGroupArn"),
        )

    async def describe_assessment_targets(self, request: Mapping[str, Any]) -> Structure:
        """Show targets."""
        found = await self.desk.describe_targets(request["assessmentTargetArns"])
        return {
            "assessmentTargets": [target(value) for value in found.items],
            "failedItems": failures(found.failed),
        }

    async def list_assessment_targets(self, request: Mapping[str, Any]) -> Structure:
        """List the ARNs of targets."""
        page = await self.desk.list_targets(
            target_filter(request), limit=limit_of(request), token=token_of(request)
        )
        return with_page("assessmentTargetArns", [value.arn for value in page.items], page)

    async def delete_assessment_target(self, request: Mapping[str, Any]) -> None:
        """Delete a target with all that lies in it."""
        await self.desk.delete_target(request["assessmentTargetArn"])

    async def preview_agents(self, request: Mapping[str, Any]) -> Structure:
        """Show the agents that a target selects now."""
        page = await self.desk.preview_agents(
            request["previewAgentsArn"], limit=limit_of(request), token=token_of(request)
        )
        now_us = self.clock.now_us()
        return with_page("agentPreviews", [_preview(agent, now_us) for agent in page.items], page)


def _preview(agent: Agent, now_us: int) -> Structure:
    return {
        "agentId": agent.agent_id,
        "hostname": agent.hostname or None,
        "agentHealth": agent.code(now_us).health.value,
        "agentVersion": agent.version[:_LONGEST_VERSION] or None,
        "operatingSystem": agent.os_name or None,
        "kernelVersion": agent.kernel_release[:_LONGEST_VERSION] or None,
        "ipv4Address": next(iter(agent.ipv4), None),
        "autoScalingGroup": agent.auto_scaling_group or None,
    }
