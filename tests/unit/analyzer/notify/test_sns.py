from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from analyzer.errors import DeliveryError
from analyzer.model import EventKind
from analyzer.notify.destination import Channel, Destination
from analyzer.notify.sns import SnsNotifier
from tests.notices import notice

TOPIC = "arn:aws:sns:us-east-1:123456789012:topic"


class Client:
    """Answers as SNS does where it refuses."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def publish(self, **_: object) -> None:
        raise self.error

    def get_topic_attributes(self, **_: object) -> None:
        raise self.error

    def close(self) -> None: ...


def refusing(error: Exception) -> SnsNotifier:
    notifier = SnsNotifier()
    notifier._clients["us-east-1"] = Client(error)
    return notifier


@pytest.mark.parametrize(
    ("code", "status", "is_final"),
    [
        ("NotFound", "TOPIC_DOES_NOT_EXIST", True),
        ("AuthorizationError", "ACCESS_DENIED", True),
        ("AccessDenied", "ACCESS_DENIED", True),
        ("InternalError", "INTERNAL_ERROR", False),
        ("Throttled", "INTERNAL_ERROR", False),
    ],
)
async def test_refusals_become_publish_statuses(code: str, status: str, is_final: bool) -> None:  # noqa: FBT001 (a case of the table)
    notifier = refusing(ClientError({"Error": {"Code": code}}, "Publish"))
    with pytest.raises(DeliveryError) as caught:
        await notifier.deliver(notice(EventKind.RUN_STARTED), Destination(Channel.SNS, TOPIC))
    assert (caught.value.code, caught.value.is_final) == (status, is_final)
    assert await notifier.check(TOPIC) == status
    await notifier.close()


async def test_no_credentials_may_come_later() -> None:
    notifier = refusing(NoCredentialsError())
    with pytest.raises(DeliveryError, match="credentials") as caught:
        await notifier.deliver(notice(EventKind.RUN_STARTED), Destination(Channel.SNS, TOPIC))
    assert not caught.value.is_final
