from __future__ import annotations

from typing import cast

import pytest

from analyzer.assessments import Assessments
from analyzer.aws.errors import AwsError
from analyzer.aws.operations.templates import TemplateOperations
from analyzer.model import EventKind, PublishStatus

REQUEST = {
    "resourceArn": "arn:template",
    "event": "FINDING_REPORTED",
    "topicArn": "arn:aws:sns:us-east-1:123456789012:topic",
}


class Desk:
    def __init__(self) -> None:
        self.subscribed: list[tuple[str, EventKind, str]] = []

    async def subscribe(self, template_arn: str, event: EventKind, topic_arn: str) -> None:
        self.subscribed.append((template_arn, event, topic_arn))


def operations(desk: Desk, status: PublishStatus) -> TemplateOperations:
    async def check(_: str) -> PublishStatus:
        return status

    return TemplateOperations(cast("Assessments", desk), check)


@pytest.mark.parametrize(
    ("status", "code", "error_code"),
    [
        (
            PublishStatus.TOPIC_DOES_NOT_EXIST,
            "NoSuchEntityException",
            "SNS_TOPIC_DOES_NOT_EXIST",
        ),
        (PublishStatus.ACCESS_DENIED, "AccessDeniedException", "ACCESS_DENIED_TO_SNS_TOPIC"),
    ],
)
async def test_topic_that_sns_refuses_is_refused(
    status: PublishStatus, code: str, error_code: str
) -> None:
    desk = Desk()
    with pytest.raises(AwsError) as caught:
        await operations(desk, status).subscribe_to_event(REQUEST)
    assert (caught.value.code, caught.value.members["errorCode"]) == (code, error_code)
    assert desk.subscribed == []


@pytest.mark.parametrize("status", [PublishStatus.SUCCESS, PublishStatus.INTERNAL_ERROR])
async def test_topic_that_sns_does_not_refuse_is_taken(status: PublishStatus) -> None:
    desk = Desk()
    await operations(desk, status).subscribe_to_event(REQUEST)
    assert desk.subscribed == [("arn:template", EventKind.FINDING_REPORTED, REQUEST["topicArn"])]


@pytest.mark.parametrize(
    ("topic", "says"), [(f"{REQUEST['topicArn']}.fifo", "a FIFO topic"), ("topic", "no ARN")]
)
async def test_topic_that_can_never_be_told_is_refused(topic: str, says: str) -> None:
    desk = Desk()
    with pytest.raises(AwsError, match=says) as caught:
        await operations(desk, PublishStatus.SUCCESS).subscribe_to_event(
            {**REQUEST, "topicArn": topic}
        )
    assert caught.value.members["errorCode"] == "INVALID_SNS_TOPIC_ARN"
    assert desk.subscribed == []
