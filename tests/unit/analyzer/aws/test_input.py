"""Every bound of the model holds, and breaking it names the member and the code for it."""

import json
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from analyzer.aws.errors import AwsError
from analyzer.aws.input import read_input
from analyzer.aws.input_codes import SUBSTITUTES, code_of
from analyzer.aws.shapes import error_codes, operations
from tests.aws_inputs import Broken, broken, valid

CODES = error_codes("InvalidInputException")
CODES_OF_MEMBERS = """
CreateAssessmentTarget assessmentTargetName INVALID_ASSESSMENT_TARGET_NAME
CreateAssessmentTemplate durationInSeconds INVALID_ASSESSMENT_TEMPLATE_DURATION
CreateAssessmentTemplate userAttributesForFindings.[].key INVALID_USER_ATTRIBUTE_KEY
CreateAssessmentTemplate userAttributesForFindings.[].value INVALID_USER_ATTRIBUTE_VALUE
CreateResourceGroup resourceGroupTags.[].key INVALID_RESOURCE_GROUP_TAG_KEY
CreateResourceGroup resourceGroupTags.[].value INVALID_RESOURCE_GROUP_TAG_VALUE
SetTagsForResource tags.[].key INVALID_TAG_KEY
SetTagsForResource tags.[].value INVALID_TAG_VALUE
ListFindings filter.attributes.[].value INVALID_ATTRIBUTE
ListFindings filter.severities.[] INVALID_SEVERITY
ListFindings filter.ruleNames.[] INVALID_RULE_NAME
ListFindings filter.agentIds.[] INVALID_AGENT_ID
ListFindings filter.autoScalingGroups.[] INVALID_AUTO_SCALING_GROUP
ListAssessmentTemplates filter.durationRange.minSeconds INVALID_ASSESSMENT_TEMPLATE_DURATION_RANGE
ListAssessmentRuns filter.durationRange.minSeconds INVALID_ASSESSMENT_RUN_DURATION_RANGE
ListAssessmentRuns filter.states.[] INVALID_ASSESSMENT_RUN_STATE
ListAssessmentTargets maxResults INVALID_MAX_RESULTS
ListAssessmentTargets nextToken INVALID_PAGINATION_TOKEN
SubscribeToEvent topicArn INVALID_SNS_TOPIC_ARN
SubscribeToEvent event INVALID_EVENT
PreviewAgents previewAgentsArn INVALID_ASSESSMENT_TARGET_ARN
RegisterCrossAccountAccessRole roleArn INVALID_IAM_ROLE_ARN
AddAttributesToFindings attributes.[].key INVALID_USER_ATTRIBUTE_KEY
DescribeFindings locale INVALID_LOCALE
StartAssessmentRun assessmentRunName INVALID_ASSESSMENT_TEMPLATE_NAME
"""
MODEL = ServiceModel(Loader().load_service_model("inspector", "service-2"), "inspector")


def read(operation: str, value: object) -> dict[str, Any]:
    return read_input(operations()[operation], json.dumps(value).encode())


def refusal(operation: str, value: object) -> AwsError:
    with pytest.raises(AwsError) as caught:
        read(operation, value)
    return caught.value


def test_model_has_the_operations_that_this_serves() -> None:
    assert len(operations()) == 37
    assert len(CODES) == 54


@pytest.mark.parametrize("name", operations())
def test_valid_input_passes(name: str) -> None:
    value = valid(operations()[name].input)

    taken = read(name, value)

    assert taken.keys() == value.keys()


def test_every_bound_is_checked() -> None:
    """One test for some hundred inputs: each alone is too short to be one."""
    kinds: dict[str, int] = {}
    for case in broken():
        kinds[case.what] = kinds.get(case.what, 0) + 1
        error = refusal(case.operation, case.value)
        if case.is_type:
            assert error.code == "SerializationException", case
            continue
        assert error.code == "InvalidInputException", case
        assert error.members["errorCode"] in CODES, case
        assert error.members["canRetry"] is False
        assert case.path[-1].removesuffix("[]") in str(error), case

    assert set(kinds) == {
        "type",
        "missing",
        "too few",
        "too many",
        "too short",
        "too long",
        "not in the list",
        "not of the pattern",
        "too small",
        "too large",
    }
    assert sum(kinds.values()) > 300


def test_what_botocore_refuses_is_refused() -> None:
    """botocore's own validator finds nothing that ours lets pass."""
    for case in broken():
        shape = MODEL.operation_model(case.operation).input_shape
        if ParamValidator().validate(case.value, shape).has_errors():
            refusal(case.operation, case.value)


@pytest.mark.parametrize("line", CODES_OF_MEMBERS.split("\n")[1:-1])
def test_code_is_the_members(line: str) -> None:
    operation, path, code = line.split()
    assert code_of(operation, tuple(path.split("."))) == code


@pytest.mark.parametrize(
    ("operation", "name", "code"),
    [
        ("CreateResourceGroup", "resourceGroupTags", "INVALID_NUMBER_OF_RESOURCE_GROUP_TAGS"),
        ("SetTagsForResource", "tags", "INVALID_NUMBER_OF_TAGS"),
        ("AddAttributesToFindings", "attributes", "INVALID_NUMBER_OF_USER_ATTRIBUTES"),
        ("DescribeFindings", "findingArns", "INVALID_NUMBER_OF_FINDING_ARNS"),
        ("ListFindings", "attributes", "INVALID_NUMBER_OF_ATTRIBUTES"),
        ("DescribeExclusions", "exclusionArns", "INVALID_RESOURCE_ARN"),
    ],
)
def test_code_of_a_wrong_number(operation: str, name: str, code: str) -> None:
    assert code_of(operation, (name,), is_length_of_list=True) == code


def test_every_code_of_a_broken_bound_is_used() -> None:
    """What the model lists and no bound of it can break is the domain's, or another error's."""
    used = {refusal(case.operation, case.value).members.get("errorCode") for case in broken()} - {
        None
    }

    assert CODES - used == {
        "ASSESSMENT_TARGET_NAME_ALREADY_TAKEN",
        "ASSESSMENT_TEMPLATE_NAME_ALREADY_TAKEN",
        "INVALID_ASSESSMENT_RUN_START_TIME_RANGE",  # its members have no bounds
        "INVALID_ASSESSMENT_RUN_STATE_CHANGE_TIME_RANGE",
        "INVALID_ASSESSMENT_RUN_COMPLETION_TIME_RANGE",
        "INVALID_TAG",  # keys and values have their own
    }
    assert set(SUBSTITUTES.values()) <= CODES


def test_a_hundred_findings_may_be_described() -> None:
    assert len(read("DescribeFindings", {"findingArns": ["x"] * 100})["findingArns"]) == 100


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"maxResults": NaN}'])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(AwsError) as caught:
        read_input(operations()["ListFindings"], body)
    assert caught.value.code == "SerializationException"


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_body_that_is_no_object_is_refused(value: object) -> None:
    assert refusal("ListFindings", value).code == "SerializationException"


def test_nulls_and_unknown_members_are_left_out() -> None:
    assert read("ListFindings", {"filter": None, "nextToken": None, "unknown": 1}) == {}


def times(begin: object) -> object:
    return read("ListFindings", {"filter": {"creationTimeRange": {"beginDate": begin}}})["filter"][
        "creationTimeRange"
    ]["beginDate"]


@pytest.mark.parametrize(
    "begin",
    [1767323045, 1767323045.0, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05", "20260102T050405+02"],
)
def test_times_become_microseconds(begin: object) -> None:
    assert times(begin) == 1767323045 * 1_000_000


@pytest.mark.parametrize(
    "begin", ["yesterday", 10**15, -(10**15), 10**400, "9999-12-31T23:59:59-23:59"]
)
def test_what_is_no_time_is_refused(begin: object) -> None:
    with pytest.raises(AwsError) as caught:
        times(begin)
    assert caught.value.code == "SerializationException"


def test_message_names_all_that_is_wrong_and_stays_short() -> None:
    value = {"assessmentTargetArns": ["x" * 301] * 50, "maxResults": 0}

    error = refusal("ListAssessmentTemplates", value)

    assert str(error).startswith("51 validation errors detected: Value 'xxx")
    assert len(str(error)) <= 1000


def test_broken_input_prints_as_its_place() -> None:
    assert str(Broken("ListFindings", ("filter", "agentIds"), "too many", {})) == (
        "ListFindings.filter.agentIds:too many"
    )
