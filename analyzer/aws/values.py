"""The domain's values as AWS's structures: one function for each.

In: frozen values of ``analyzer/model``. Out: dicts with the model's member names; times stay in
microseconds, and nulls are left out when they are written.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from analyzer.model import ipv4_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analyzer.arns import Arns
    from analyzer.model import (
        Exclusion,
        FindingRow,
        Interface,
        MessageCount,
        OutboxMessage,
        ResourceGroup,
        RulesPackage,
        Run,
        RunAgent,
        Tag,
        Target,
        Template,
    )

Structure = dict[str, Any]
SERVICE_NAME: Final = "Inspector"
ASSET_TYPE: Final = "ec2-instance"  # the only one that the model has
_SCHEMA_VERSION: Final = 1
_CONFIDENCE: Final = 10  # not used, and 10 in every known finding
_MOST_IPV4: Final = 50  # addresses of an asset
_MOST_CHANGES: Final = 50  # of state that one run shows
_LONGEST_MESSAGE: Final = 1_000  # characters of a notification's
_RETRYABLE: Final = frozenset({"INTERNAL_ERROR"})


def pairs(tags: Iterable[Tag]) -> list[Structure]:
    """Return tags or attributes."""
    return [{"key": tag.key, "value": tag.value} for tag in tags]


def failures(failed: Mapping[str, str]) -> Structure:
    """Return the ``failedItems`` of a batch: ARN → why."""
    return {
        arn: {"failureCode": code, "retryable": code in _RETRYABLE} for arn, code in failed.items()
    }


def resource_group(group: ResourceGroup) -> Structure:
    """Return a resource group."""
    return {"arn": group.arn, "tags": pairs(group.tags), "createdAt": group.created_us}


def target(value: Target) -> Structure:
    """Return an assessment target; without resource group it takes every host."""
    return {
        "arn": value.arn,
        "name": value.name,
        "resourceGroupArn": value.resource_group_arn,
        "createdAt": value.created_us,
        "updatedAt": value.updated_us,
    }


def template(value: Template, arns: Arns) -> Structure:
    """Return an assessment template."""
    return {
        "arn": value.arn,
        "name": value.name,
        "assessmentTargetArn": value.target_arn,
        "durationInSeconds": value.duration_s,
        "rulesPackageArns": [arns.rules_package(id_) for id_ in value.packages],
        "userAttributesForFindings": pairs(value.user_attributes),
        "lastAssessmentRunArn": value.last_run_arn or None,
        "assessmentRunCount": value.run_count,
        "createdAt": value.created_us,
    }


def rules_package(value: RulesPackage) -> Structure:
    """Return a rules package."""
    return {
        "arn": value.arn,
        "name": value.name,
        "version": value.version,
        "provider": value.provider,
        "description": value.description,
    }


def run_agent(value: RunAgent) -> Structure:
    """Return an agent of a run with its telemetry."""
    return {
        "agentId": value.agent_id,
        "assessmentRunArn": value.run_arn,
        "agentHealth": value.code.health.value,
        "agentHealthCode": value.code.value,
        "agentHealthDetails": value.details or None,
        "autoScalingGroup": value.auto_scaling_group or None,
        "telemetryMetadata": telemetry(dict(sorted(value.telemetry.items()))),
    }


def telemetry(amounts: Mapping[str, MessageCount]) -> list[Structure]:
    """Return how much telemetry came: one row for each type of message."""
    return [
        {"messageType": name, "count": part.count, "dataSize": part.size_bytes}
        for name, part in amounts.items()
    ]


def assessment_run(
    run: Run,
    *,
    packages: Iterable[str],
    counts: Mapping[str, int],
    messages: Iterable[OutboxMessage],
) -> Structure:
    """Return a run with its history; ``packages`` are ARNs, ``counts`` is by severity."""
    changes = run.changes[-_MOST_CHANGES:]
    return {
        "arn": run.arn,
        "name": run.name,
        "assessmentTemplateArn": run.template_arn,
        "state": run.state.value,
        "durationInSeconds": run.duration_s,
        "rulesPackageArns": list(packages),
        "userAttributesForFindings": pairs(run.user_attributes),
        "createdAt": run.created_us,
        "startedAt": run.started_us,
        "completedAt": run.completed_us,
        "stateChangedAt": run.state_changed_us,
        "dataCollected": run.data_collected,
        "stateChanges": [
            {"stateChangedAt": change.at_us, "state": change.state.value} for change in changes
        ],
        "notifications": [_notification(message) for message in messages],
        "findingCounts": dict(counts),
    }


def finding(row: FindingRow, arns: Arns) -> Structure:
    """Return a finding; lists that clients index without looking are there, even if empty."""
    return {
        "arn": row.arn,
        "schemaVersion": _SCHEMA_VERSION,
        "service": SERVICE_NAME,
        "serviceAttributes": {
            "schemaVersion": _SCHEMA_VERSION,
            "assessmentRunArn": row.run_arn,
            "rulesPackageArn": arns.rules_package(row.package),
        },
        "assetType": ASSET_TYPE,
        "assetAttributes": _asset(row),
        "id": row.rule,
        "title": row.title,
        "description": row.description,
        "recommendation": row.recommendation,
        "severity": row.severity,
        "numericSeverity": float(row.numeric_severity),
        "confidence": _CONFIDENCE,
        "indicatorOfCompromise": False,
        "attributes": pairs(row.attributes),
        "userAttributes": pairs(row.user_attributes),
        "createdAt": row.created_us,
        "updatedAt": row.updated_us,
    }


def exclusion(value: Exclusion, arns: Arns) -> Structure:
    """Return an exclusion, or one of a preview, which has no ARN."""
    return {
        "arn": value.arn if value.id else None,
        "title": value.title,
        "description": value.description,
        "recommendation": value.recommendation,
        "scopes": [
            {
                "key": scope.key,
                "value": arns.rules_package(scope.value)
                if scope.key == "RULES_PACKAGE_ARN"
                else scope.value,
            }
            for scope in value.scopes
        ],
        "attributes": pairs(value.attributes),
    }


def _notification(message: OutboxMessage) -> Structure:
    return {
        "date": message.delivered_us or message.created_us,
        "event": message.event.value,
        "message": message.error[:_LONGEST_MESSAGE] or None,
        "error": bool(message.error),
        "snsTopicArn": message.topic_arn or None,
        "snsPublishStatusCode": message.status.value or None,
    }


def _asset(row: FindingRow) -> Structure:
    tags = [{"key": key, "value": value} for key, value in sorted(row.host_tags.items())]
    return {
        "schemaVersion": _SCHEMA_VERSION,
        "agentId": row.agent_id or None,
        "autoScalingGroup": row.auto_scaling_group or None,
        "hostname": row.hostname or None,
        "ipv4Addresses": list(islice(ipv4_of(row.interfaces), _MOST_IPV4)),
        "tags": tags,
        "networkInterfaces": [_interface(each) for each in row.interfaces],
    }


def _interface(value: Interface) -> Structure:
    """Return an interface by the host's own name; what only a VPC knows is left out."""
    return {
        "networkInterfaceId": value.name,
        "privateIpAddress": next(iter(value.ipv4), None),
        "privateIpAddresses": [{"privateIpAddress": address} for address in value.ipv4],
        "ipv6Addresses": list(value.ipv6),
    }
