"""Answers become what the model says: known members, times in seconds, nothing null."""

import json
from datetime import UTC, datetime

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import JSONParser

from analyzer.aws.output import write_output
from analyzer.aws.shapes import operations

MODEL = ServiceModel(Loader().load_service_model("inspector", "service-2"), "inspector")
RUN = "arn:aws:inspector:us-east-1:000000000000:target/0-a/template/0-b/run/0-c"


def test_times_are_seconds_with_milliseconds() -> None:
    group = {"arn": "a", "tags": [{"key": "k", "value": None}], "createdAt": 1767323045_123_999}

    body = write_output(
        operations()["DescribeResourceGroups"],
        {"resourceGroups": [group], "failedItems": {}, "unknown": 1},
    )

    assert json.loads(body) == {
        "resourceGroups": [{"arn": "a", "tags": [{"key": "k"}], "createdAt": 1767323045.123}],
        "failedItems": {},
    }


def test_exclusions_are_a_map() -> None:
    exclusion = {
        "arn": "x",
        "title": "t",
        "description": "d",
        "recommendation": "r",
        "scopes": [{"key": "INSTANCE_ID", "value": "i-1"}],
    }
    failed = {"y": {"failureCode": "ITEM_DOES_NOT_EXIST", "retryable": False}}

    body = write_output(
        operations()["DescribeExclusions"], {"exclusions": {"x": exclusion}, "failedItems": failed}
    )

    assert json.loads(body) == {"exclusions": {"x": exclusion}, "failedItems": failed}


def test_operation_without_output_answers_nothing() -> None:
    assert write_output(operations()["DeleteAssessmentRun"], None) == b""


def test_member_that_clients_rely_on_may_not_be_missing() -> None:
    with pytest.raises(KeyError, match="assessmentRunArns"):
        write_output(operations()["ListAssessmentRuns"], {})


def test_botocore_reads_it_back() -> None:
    role = {"roleArn": "r", "valid": True, "registeredAt": 1767323045_500_000}
    body = write_output(operations()["DescribeCrossAccountAccessRole"], role)

    shape = MODEL.operation_model("DescribeCrossAccountAccessRole").output_shape
    parsed = JSONParser().parse({"body": body, "headers": {}, "status_code": 200}, shape)

    assert parsed["registeredAt"] == datetime(2026, 1, 2, 3, 4, 5, 500_000, UTC)
    assert parsed["valid"] is True
