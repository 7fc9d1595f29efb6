"""SNS and SQS on 127.0.0.1 as moto serves them, and a queue that reads a topic back."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

ACCOUNT = "123456789012"
REGION = "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Topic:
    """A topic, and the queue that gets what is published to it."""

    arn: str
    queue_url: str
    sqs: Any

    def envelopes(self, n: int) -> list[dict[str, Any]]:
        """Return what SNS put into the queue, ``n`` at least, at most one empty look more."""
        found: list[dict[str, Any]] = []
        while len(found) < n:
            reply = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
            messages = reply.get("Messages", [])
            if not messages:
                break
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(
                    QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"]
                )
        return found

    def messages(self, n: int) -> list[dict[str, Any]]:
        """Return the messages themselves, as JSON."""
        return [json.loads(envelope["Message"]) for envelope in self.envelopes(n)]


@dataclass(frozen=True)
class TopicsServer:
    """Where topics live."""

    url: str

    def client(self, service: str) -> Any:  # noqa: ANN401 (boto3 makes types)
        return boto3.session.Session().client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 (moto takes any)
        )

    def topic(self, name: str) -> Topic:
        """Return a new topic with a queue that is subscribed to it."""
        sns, sqs = self.client("sns"), self.client("sqs")
        arn = sns.create_topic(Name=name)["TopicArn"]
        queue_url = sqs.create_queue(QueueName=name)["QueueUrl"]
        queue_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
        return Topic(arn=arn, queue_url=queue_url, sqs=sqs)


@contextmanager
def topics_server() -> Iterator[TopicsServer]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield TopicsServer(f"http://{host}:{port}")
    finally:
        server.stop()
