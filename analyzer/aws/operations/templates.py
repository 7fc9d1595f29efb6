"""Assessment templates, their tags and event subscriptions.

In: input as ``input`` reads it. Out: answers in AWS's words, from the desk of assessments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from analyzer.aws.errors import invalid_input, modelled
from analyzer.aws.operations.paging import limit_of, token_of, with_page
from analyzer.aws.requests import tags_of, template_filter
from analyzer.aws.values import Structure, failures, pairs, template
from analyzer.model import EventKind, PublishStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from analyzer.assessments import Assessments, TopicSubscriptions

    TopicCheck = Callable[[str], Awaitable[str]]

_TOPIC: Final = re.compile(r"arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}")
_FIFO: Final = ".fifo"  # such topics want a group with each message, which Inspector's have not
_SUBSCRIPTIONS_LIMIT: Final = 50  # in one reply


@dataclass(frozen=True, slots=True)
class TemplateOperations:
    """Answers for templates."""

    desk: Assessments
    check_topic: TopicCheck

    async def create_assessment_template(self, request: Mapping[str, Any]) -> Structure:
        """Make a template, which never changes afterwards."""
        made = await self.desk.create_template(
            request["assessmentTargetArn"],
            name=request["assessmentTemplateName"],
            duration_s=request["durationInSeconds"],
            packages=request["rulesPackageArns"],
            user_attributes=tags_of(request.get("userAttributesForFindings", ())),
        )
        return {"assessmentTemplateArn": made.arn}

    async def describe_assessment_templates(self, request: Mapping[str, Any]) -> Structure:
        """Show templates."""
        found = await self.desk.describe_templates(request["assessmentTemplateArns"])
        return {
            "assessmentTemplates": [template(value, self.desk.arns) for value in found.items],
            "failedItems": failures(found.failed),
        }

    async def list_assessment_templates(self, request: Mapping[str, Any]) -> Structure:
        """List the ARNs of templates."""
        page = await self.desk.list_templates(
            template_filter(request, self.desk.package_ids),
            limit=limit_of(request),
            token=token_of(request),
        )
        return with_page("assessmentTemplateArns", [value.arn for value in page.items], page)

    async def delete_assessment_template(self, request: Mapping[str, Any]) -> None:
        """Delete a template with its runs."""
        await self.desk.delete_template(request["assessmentTemplateArn"])

    async def set_tags_for_resource(self, request: Mapping[str, Any]) -> None:
        """Replace all tags of a template; none given = none left."""
        await self.desk.set_tags(request["resourceArn"], tags_of(request.get("tags", ())))

    async def list_tags_for_resource(self, request: Mapping[str, Any]) -> Structure:
        """Show the tags of a template."""
        return {"tags": pairs(await self.desk.tags_of(request["resourceArn"]))}

    async def subscribe_to_event(self, request: Mapping[str, Any]) -> None:
        """Tell a topic about events of a template's runs."""
        topic_arn = request["topicArn"]
        if not _TOPIC.fullmatch(topic_arn):
            is_fifo = topic_arn.endswith(_FIFO)
            what = "a FIFO topic; take a standard one" if is_fifo else "no ARN of a topic"
            raise invalid_input("INVALID_SNS_TOPIC_ARN", f"{topic_arn!r} is {what}")
        await self._require_topic(topic_arn)
        await self.desk.subscribe(request["resourceArn"], EventKind(request["event"]), topic_arn)

    async def _require_topic(self, topic_arn: str) -> None:
        """Refuse a topic that is known to be of no use; others show later."""
        outcome = await self.check_topic(topic_arn)
        if outcome == PublishStatus.TOPIC_DOES_NOT_EXIST:
            code = "SNS_TOPIC_DOES_NOT_EXIST"
            raise modelled("NoSuchEntityException", code, f"there is no topic {topic_arn}")
        if outcome == PublishStatus.ACCESS_DENIED:
            message = f"the server may not use the topic {topic_arn}"
            raise modelled("AccessDeniedException", "ACCESS_DENIED_TO_SNS_TOPIC", message)

    async def unsubscribe_from_event(self, request: Mapping[str, Any]) -> None:
        """Tell a topic no longer."""
        await self.desk.unsubscribe(
            request["resourceArn"], EventKind(request["event"]), request["topicArn"]
        )

    async def list_event_subscriptions(self, request: Mapping[str, Any]) -> Structure:
        """Show subscriptions, those of one template and topic together."""
        page = await self.desk.list_subscriptions(
            request.get("resourceArn"),
            limit=limit_of(request, most=_SUBSCRIPTIONS_LIMIT),
            token=token_of(request),
        )
        return with_page("subscriptions", [_subscription(one) for one in page.items], page)


def _subscription(value: TopicSubscriptions) -> Structure:
    return {
        "resourceArn": value.template_arn,
        "topicArn": value.topic_arn,
        "eventSubscriptions": [
            {"event": one.event.value, "subscribedAt": one.subscribed_us}
            for one in value.subscriptions
        ],
    }
