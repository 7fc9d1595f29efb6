"""Roles: which operations a key may call, and what a refusal says.

In: an operation. Out: nothing, or AccessDeniedException with the code of what would be changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analyzer.access import Role
from analyzer.aws.errors import modelled

if TYPE_CHECKING:
    from analyzer.access import AccessKey
    from analyzer.aws.shapes import Operation

_CHANGES: Final = {
    "AddAttributesToFindings": "FINDING",
    "CreateAssessmentTarget": "ASSESSMENT_TARGET",
    "CreateAssessmentTemplate": "ASSESSMENT_TEMPLATE",
    "CreateExclusionsPreview": "ASSESSMENT_TEMPLATE",
    "CreateResourceGroup": "RESOURCE_GROUP",
    "DeleteAssessmentRun": "ASSESSMENT_RUN",
    "DeleteAssessmentTarget": "ASSESSMENT_TARGET",
    "DeleteAssessmentTemplate": "ASSESSMENT_TEMPLATE",
    "RegisterCrossAccountAccessRole": "IAM_ROLE",
    "RemoveAttributesFromFindings": "FINDING",
    "SetTagsForResource": "ASSESSMENT_TEMPLATE",
    "StartAssessmentRun": "ASSESSMENT_RUN",
    "StopAssessmentRun": "ASSESSMENT_RUN",
    "SubscribeToEvent": "ASSESSMENT_TEMPLATE",
    "UnsubscribeFromEvent": "ASSESSMENT_TEMPLATE",
    "UpdateAssessmentTarget": "ASSESSMENT_TARGET",
}


def check_role(key: AccessKey, operation: Operation) -> None:
    """Let the call pass, or refuse it.

    Raises:
        AwsError: The key may only read, and the operation changes something.
    """
    if key.role is Role.FULL or operation.is_read:
        return
    raise modelled(
        "AccessDeniedException",
        f"ACCESS_DENIED_TO_{_CHANGES[operation.name]}",
        f"The key {key.name!r} is not authorized to perform: inspector:{operation.name}; "
        f"its role is {key.role}.",
    )
