"""What the domain refuses becomes the error that clients of AWS know."""

import pytest

from analyzer.arns import EntityKind
from analyzer.aws.refusals import refusal
from analyzer.aws.shapes import error_codes, error_members, operations
from analyzer.errors import (
    AgentsBusyError,
    AnalyzerError,
    InvalidInputError,
    LimitExceededError,
    NoSuchEntityError,
    PreviewInProgressError,
    RunInProgressError,
    StoreError,
)

ARN = "arn:aws:inspector:us-east-1:000000000000:target/0-AbCd12Ef"
CASES = [
    (NoSuchEntityError(EntityKind.RUN, ARN), "StopAssessmentRun", "NoSuchEntityException"),
    (InvalidInputError("INVALID_TAG", "no"), "SetTagsForResource", "InvalidInputException"),
    (LimitExceededError(EntityKind.RUN, 1, "runs"), "StartAssessmentRun", "LimitExceededException"),
    (RunInProgressError((ARN,)), "DeleteAssessmentRun", "AssessmentRunInProgressException"),
    (
        AgentsBusyError((("i-1", ARN),)),
        "StartAssessmentRun",
        "AgentsAlreadyRunningAssessmentException",
    ),
    (
        PreviewInProgressError(ARN),
        "CreateExclusionsPreview",
        "PreviewGenerationInProgressException",
    ),
    (StoreError("full"), "StartAssessmentRun", "ServiceTemporarilyUnavailableException"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "operation", "code"), CASES, ids=lambda value: str(value)[:20])
def test_error_has_the_members_that_the_model_gives_it(
    error: Exception, operation: str, code: str
) -> None:
    found = refusal(error, operations()[operation])

    assert found is not None
    assert found.code == code
    assert found.http_status == 400
    assert {"message", *found.members} == error_members()[code]


@pytest.mark.parametrize("kind", EntityKind)
def test_every_kind_has_a_code(kind: EntityKind) -> None:
    found = refusal(NoSuchEntityError(kind, ARN), operations()["ListExclusions"])

    assert found is not None
    assert found.members["errorCode"] in error_codes("NoSuchEntityException")


@pytest.mark.parametrize(
    "kind", [*[EntityKind(f"ASSESSMENT_{word}") for word in ("TARGET", "TEMPLATE", "RUN")],
             EntityKind.RESOURCE_GROUP, "EVENT_SUBSCRIPTION"],
)  # fmt: skip
def test_every_limit_has_a_code(kind: str) -> None:
    found = refusal(LimitExceededError(kind, 1, "x"), operations()["CreateAssessmentTarget"])

    assert found is not None
    assert found.members["errorCode"] in error_codes("LimitExceededException")


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("SetTagsForResource", "INVALID_RESOURCE_ARN"),
        ("DeleteAssessmentTemplate", "INVALID_ASSESSMENT_TEMPLATE_ARN"),
    ],
)
def test_arn_of_any_resource_has_a_code_of_its_own(operation: str, code: str) -> None:
    error = InvalidInputError("INVALID_ASSESSMENT_TEMPLATE_ARN", "no")

    found = refusal(error, operations()[operation])

    assert found is not None
    assert found.members["errorCode"] == code


def test_more_than_ten_runs_are_said_to_be_more() -> None:
    found = refusal(RunInProgressError((ARN,) * 11), operations()["DeleteAssessmentRun"])

    assert found is not None
    assert len(found.members["assessmentRunArns"]) == 10
    assert found.members["assessmentRunArnsTruncated"] is True


@pytest.mark.parametrize(
    ("error", "operation"),
    [
        (RunInProgressError((ARN,)), "ListFindings"),
        (AnalyzerError("x"), "StartAssessmentRun"),
        (ValueError("x"), "StartAssessmentRun"),
    ],
)
def test_what_an_operation_does_not_know_is_our_fault(error: Exception, operation: str) -> None:
    assert refusal(error, operations()[operation]) is None


def test_store_that_cannot_be_used_is_said_where_no_error_is_modelled_for_it() -> None:
    """Every call meets it, so each is worth one line of the log and no traceback."""
    found = refusal(StoreError("away"), operations()["ListFindings"])
    assert found is not None
    assert (found.code, found.http_status) == ("InternalException", 500)
    assert found.members == {"canRetry": True}
    assert "store cannot be used" in str(found)
