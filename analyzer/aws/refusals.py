"""What the domain refuses, as AWS's errors.

In: an error of the domain, the operation. Out: the modelled error for it; None where the operation
has no such error, so that the fault is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from analyzer.arns import EntityKind
from analyzer.aws.errors import AwsError, internal, invalid_input, modelled, temporarily_unavailable
from analyzer.errors import (
    AgentsBusyError,
    InvalidInputError,
    LimitExceededError,
    NoSuchEntityError,
    PreviewInProgressError,
    RunInProgressError,
    StoreError,
)

if TYPE_CHECKING:
    from analyzer.aws.shapes import Operation

_STANDS_IN: Final = {EntityKind.EXCLUSION: EntityKind.RUN}  # the model has no code of its own
_TEMPLATE_ARN: Final = "INVALID_ASSESSMENT_TEMPLATE_ARN"
_RESOURCE_ARN: Final = "INVALID_RESOURCE_ARN"
_UNRECORDED: Final = "the server cannot write its audit log, so it refuses calls; try again later"
_BUSY: Final = "the server's store cannot be used at the moment; try again"


def refusal(error: Exception, operation: Operation) -> AwsError | None:
    """Return AWS's error for one of the domain; None where it is none of those."""
    known = _refusal(error, operation)
    if known is not None and known.code not in operation.errors:
        return None
    return known


def unrecorded(operation: Operation) -> AwsError:
    """Return the error for a call that the audit log cannot take."""
    return _unavailable(operation, _UNRECORDED)


def _refusal(error: Exception, operation: Operation) -> AwsError | None:
    if isinstance(error, NoSuchEntityError):
        kind = _STANDS_IN.get(error.kind, error.kind)
        return modelled("NoSuchEntityException", f"{kind}_DOES_NOT_EXIST", str(error))
    if isinstance(error, InvalidInputError):
        # Operations on any resource have a code of their own, though templates are the only ones.
        is_any = "resourceArn" in operation.input.members and error.code == _TEMPLATE_ARN
        return invalid_input(_RESOURCE_ARN if is_any else error.code, str(error))
    if isinstance(error, LimitExceededError):
        return modelled("LimitExceededException", f"{error.kind}_LIMIT_EXCEEDED", str(error))
    if isinstance(error, StoreError):
        return _unavailable(operation, _BUSY)
    return _in_progress(error)


def _unavailable(operation: Operation, message: str) -> AwsError:
    error = temporarily_unavailable(message)
    return error if error.code in operation.errors else internal(message)


def _in_progress(error: Exception) -> AwsError | None:
    members: dict[str, Any]
    if isinstance(error, RunInProgressError):
        members = {
            "assessmentRunArns": list(error.run_arns),
            "assessmentRunArnsTruncated": error.is_truncated,
            "canRetry": True,
        }
        return AwsError("AssessmentRunInProgressException", str(error), members=members)
    if isinstance(error, AgentsBusyError):
        members = {
            "agents": [{"agentId": agent, "assessmentRunArn": run} for agent, run in error.agents],
            "agentsTruncated": error.is_truncated,
            "canRetry": True,
        }
        return AwsError("AgentsAlreadyRunningAssessmentException", str(error), members=members)
    if isinstance(error, PreviewInProgressError):
        return AwsError("PreviewGenerationInProgressException", str(error))
    return None
