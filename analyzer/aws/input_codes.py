"""Which ``errorCode`` an InvalidInputException has: by the member that is wrong.

In: an operation, the way to a member. Out: one of the model's 54 codes. Where the model has none
for a member, the nearest stands in; ``SUBSTITUTES`` says where.
"""

from __future__ import annotations

from typing import Final

ITEM: Final = "[]"
"""Stands for the items of a list on the way to a member."""

_VALUES: Final = {
    "agentIds": "INVALID_AGENT_ID",
    "assessmentRunArn": "INVALID_ASSESSMENT_RUN_ARN",
    "assessmentRunArns": "INVALID_ASSESSMENT_RUN_ARN",
    "assessmentTargetArn": "INVALID_ASSESSMENT_TARGET_ARN",
    "assessmentTargetArns": "INVALID_ASSESSMENT_TARGET_ARN",
    "assessmentTargetName": "INVALID_ASSESSMENT_TARGET_NAME",
    "assessmentTargetNamePattern": "INVALID_ASSESSMENT_TARGET_NAME_PATTERN",
    "assessmentTemplateArn": "INVALID_ASSESSMENT_TEMPLATE_ARN",
    "assessmentTemplateArns": "INVALID_ASSESSMENT_TEMPLATE_ARN",
    "assessmentTemplateName": "INVALID_ASSESSMENT_TEMPLATE_NAME",
    "attributeKeys": "INVALID_USER_ATTRIBUTE_KEY",
    "attributes": "INVALID_ATTRIBUTE",
    "autoScalingGroups": "INVALID_AUTO_SCALING_GROUP",
    "completionTimeRange": "INVALID_ASSESSMENT_RUN_COMPLETION_TIME_RANGE",
    "durationInSeconds": "INVALID_ASSESSMENT_TEMPLATE_DURATION",
    "durationRange": "INVALID_ASSESSMENT_TEMPLATE_DURATION_RANGE",
    "event": "INVALID_EVENT",
    "findingArns": "INVALID_FINDING_ARN",
    "locale": "INVALID_LOCALE",
    "maxResults": "INVALID_MAX_RESULTS",
    "namePattern": "INVALID_ASSESSMENT_TEMPLATE_NAME_PATTERN",
    "nextToken": "INVALID_PAGINATION_TOKEN",
    "previewAgentsArn": "INVALID_ASSESSMENT_TARGET_ARN",
    "resourceArn": "INVALID_RESOURCE_ARN",
    "resourceGroupArn": "INVALID_RESOURCE_GROUP_ARN",
    "resourceGroupArns": "INVALID_RESOURCE_GROUP_ARN",
    "resourceGroupTags": "INVALID_RESOURCE_GROUP_TAG_KEY",
    "roleArn": "INVALID_IAM_ROLE_ARN",
    "ruleNames": "INVALID_RULE_NAME",
    "rulesPackageArns": "INVALID_RULES_PACKAGE_ARN",
    "severities": "INVALID_SEVERITY",
    "startTimeRange": "INVALID_ASSESSMENT_RUN_START_TIME_RANGE",
    "stateChangeTimeRange": "INVALID_ASSESSMENT_RUN_STATE_CHANGE_TIME_RANGE",
    "states": "INVALID_ASSESSMENT_RUN_STATE",
    "tags": "INVALID_TAG",
    "topicArn": "INVALID_SNS_TOPIC_ARN",
    "userAttributes": "INVALID_USER_ATTRIBUTE",
    "userAttributesForFindings": "INVALID_USER_ATTRIBUTE",
}

_NUMBERS: Final = {
    "agentIds": "INVALID_NUMBER_OF_AGENT_IDS",
    "assessmentRunArns": "INVALID_NUMBER_OF_ASSESSMENT_RUN_ARNS",
    "assessmentTargetArns": "INVALID_NUMBER_OF_ASSESSMENT_TARGET_ARNS",
    "assessmentTemplateArns": "INVALID_NUMBER_OF_ASSESSMENT_TEMPLATE_ARNS",
    "attributeKeys": "INVALID_NUMBER_OF_USER_ATTRIBUTES",
    "attributes": "INVALID_NUMBER_OF_ATTRIBUTES",
    "autoScalingGroups": "INVALID_NUMBER_OF_AUTO_SCALING_GROUPS",
    "findingArns": "INVALID_NUMBER_OF_FINDING_ARNS",
    "resourceGroupArns": "INVALID_NUMBER_OF_RESOURCE_GROUP_ARNS",
    "resourceGroupTags": "INVALID_NUMBER_OF_RESOURCE_GROUP_TAGS",
    "ruleNames": "INVALID_NUMBER_OF_RULE_NAMES",
    "rulesPackageArns": "INVALID_NUMBER_OF_RULES_PACKAGE_ARNS",
    "severities": "INVALID_NUMBER_OF_SEVERITIES",
    "states": "INVALID_NUMBER_OF_ASSESSMENT_RUN_STATES",
    "tags": "INVALID_NUMBER_OF_TAGS",
    "userAttributes": "INVALID_NUMBER_OF_USER_ATTRIBUTES",
    "userAttributesForFindings": "INVALID_NUMBER_OF_USER_ATTRIBUTES",
}

# Keys and values of pairs have codes of their own, by the list that holds the pairs.
_PAIRS: Final = {
    "resourceGroupTags": "INVALID_RESOURCE_GROUP_TAG",
    "tags": "INVALID_TAG",
    "userAttributes": "INVALID_USER_ATTRIBUTE",
    "userAttributesForFindings": "INVALID_USER_ATTRIBUTE",
}

SUBSTITUTES: Final = {
    "agentHealthCodes": "INVALID_AGENT_ID",
    "agentHealths": "INVALID_AGENT_ID",
    "assessmentRunName": "INVALID_ASSESSMENT_TEMPLATE_NAME",
    "creationTimeRange": "INVALID_ASSESSMENT_RUN_COMPLETION_TIME_RANGE",
    "exclusionArns": "INVALID_RESOURCE_ARN",
    "filter": "INVALID_ATTRIBUTE",
    "previewToken": "INVALID_PAGINATION_TOKEN",
    "reportFileFormat": "INVALID_ASSESSMENT_RUN_ARN",
    "reportType": "INVALID_ASSESSMENT_RUN_ARN",
    "stopAction": "INVALID_ASSESSMENT_RUN_STATE",
}
"""Members for which the model has no code, and the code that stands in."""

# Members whose meaning, and so whose code, depends on the operation.
_BY_OPERATION: Final = {
    ("ListAssessmentRuns", "durationRange"): "INVALID_ASSESSMENT_RUN_DURATION_RANGE",
    ("AddAttributesToFindings", "attributes"): "INVALID_USER_ATTRIBUTE",
}


def code_of(operation: str, path: tuple[str, ...], *, is_length_of_list: bool = False) -> str:
    """Return the code for a wrong value at ``path`` of an operation's input."""
    names = [name for name in path if name != ITEM]
    if is_length_of_list:
        return _number_code(operation, names[-1])
    if names[-1] in {"key", "value"}:
        return _pair_code(operation, names[-2], names[-1].upper())
    known = (name for name in reversed(names) if name in _VALUES or name in SUBSTITUTES)
    return _value_code(operation, next(known))


def _value_code(operation: str, name: str) -> str:
    return _BY_OPERATION.get((operation, name)) or _VALUES.get(name) or SUBSTITUTES[name]


def _number_code(operation: str, name: str) -> str:
    if _BY_OPERATION.get((operation, name)) == "INVALID_USER_ATTRIBUTE":
        return "INVALID_NUMBER_OF_USER_ATTRIBUTES"
    return _NUMBERS.get(name) or SUBSTITUTES[name]


def _pair_code(operation: str, name: str, part: str) -> str:
    pair = _BY_OPERATION.get((operation, name)) or _PAIRS.get(name)
    return f"{pair}_{part}" if pair else _value_code(operation, name)
