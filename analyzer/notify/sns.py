"""Amazon SNS, or what speaks its protocol: through boto3, in threads of its own.

In: notices to topics. Out: messages as Inspector published them, and why one was refused. The
endpoint is that of AWS_ENDPOINT_URL_SNS or of boto3's configuration, credentials are boto3's (but
never by IMDSv1, which rules of ours find), and the region is the topic's.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from analyzer.errors import DeliveryError
from analyzer.model import PublishStatus
from analyzer.notify.destination import Destination
from analyzer.notify.notice import Notice
from analyzer.notify.sns_message import sns_message
from analyzer.notify.threads import NoticeThreads

_STATUSES: Final = {
    "NotFound": PublishStatus.TOPIC_DOES_NOT_EXIST,
    "NotFoundException": PublishStatus.TOPIC_DOES_NOT_EXIST,
    "AuthorizationError": PublishStatus.ACCESS_DENIED,
    "AuthorizationErrorException": PublishStatus.ACCESS_DENIED,
    "AccessDenied": PublishStatus.ACCESS_DENIED,
    "AccessDeniedException": PublishStatus.ACCESS_DENIED,
}
_REGION: Final = 3  # field of an ARN
_CONNECT_S: Final = 5
_READ_S: Final = 10
_ATTEMPTS: Final = 2  # more of them are the dispatcher's, which waits longer between


class SnsNotifier:
    """Publishes to topics; one client for each region."""

    def __init__(self, *, endpoint_url: str | None = None) -> None:
        """Prepare; boto3 is imported with the first topic."""
        self._endpoint_url = endpoint_url
        self._clients: dict[str, Any] = {}
        self._lock = asyncio.Lock()
        self._threads = NoticeThreads()

    async def deliver(self, notice: Notice, to: Destination) -> None:
        """Publish a notice to a topic.

        Raises:
            DeliveryError: With the publish status that Inspector would give as its code.
        """
        await self._call(to.address, "publish", TopicArn=to.address, Message=sns_message(notice))

    async def check(self, topic_arn: str) -> PublishStatus:
        """Return SUCCESS where a topic exists and lets itself be used, else why not.

        INTERNAL_ERROR says nothing about the topic: SNS was not reached, or there are no
        credentials yet.
        """
        try:
            await self._call(topic_arn, "get_topic_attributes", TopicArn=topic_arn)
        except DeliveryError as error:
            return PublishStatus(error.code)
        return PublishStatus.SUCCESS

    async def close(self) -> None:
        """Close the connections of every region."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await self._threads.run(client.close)
        self._threads.close()

    async def _call(self, topic_arn: str, operation: str, **arguments: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = await self._client(topic_arn)
            await self._threads.run(getattr(client, operation), **arguments)
        except ClientError as error:
            status = _STATUSES.get(error.response.get("Error", {}).get("Code", ""))
            code = status or PublishStatus.INTERNAL_ERROR
            raise DeliveryError(f"SNS: {error}", code=code, is_final=bool(status)) from error
        except (BotoCoreError, ValueError) as error:  # no credentials, no network, no such region
            raise DeliveryError(f"SNS: {error}") from error

    async def _client(self, topic_arn: str) -> Any:  # noqa: ANN401 (boto3 makes its clients' types)
        fields = topic_arn.split(":")
        region = fields[_REGION] if len(fields) > _REGION else ""
        async with self._lock:
            if region not in self._clients:
                self._clients[region] = await self._threads.run(self._new_client, region)
            return self._clients[region]

    def _new_client(self, region: str) -> Any:  # noqa: ANN401 (same)
        import boto3
        import botocore.session
        from botocore.config import Config

        config = Config(
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        )
        core = botocore.session.get_session()
        core.set_config_variable("ec2_metadata_v1_disabled", True)  # noqa: FBT003 (botocore's own)
        # Region without a name means boto3's own choice, by its configuration.
        session = boto3.session.Session(botocore_session=core, region_name=region or None)
        return session.client("sns", endpoint_url=self._endpoint_url, config=config)
