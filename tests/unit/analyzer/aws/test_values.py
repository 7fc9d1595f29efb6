"""Values of the domain become AWS's structures, with what clients index."""

from analyzer.arns import Arns
from analyzer.aws.output import shaped
from analyzer.aws.shapes import Shape, operations
from analyzer.aws.values import exclusion, finding, run_agent
from analyzer.model import (
    Exclusion,
    FindingRow,
    HealthCode,
    Interface,
    MessageCount,
    RunAgent,
    Scope,
    Tag,
)

ARNS = Arns()
RUN = "arn:aws:inspector:us-east-1:000000000000:target/0-a/template/0-b/run/0-c"
PACKAGE = "arn:aws:inspector:us-east-1:316112463485:rulespackage/0-gBONHN9h"


def item_of(operation: str, member: str) -> Shape:
    output = operations()[operation].output
    assert output is not None
    item = output.members[member].item
    assert item is not None
    return item


def test_finding_has_what_clients_index() -> None:
    row = FindingRow(
        id="0-AbCd12Ef",
        run_arn=RUN,
        package="runtime-behavior",
        rule="insecure-client-login",
        agent_id="i-1",
        host_tags={"b": "2", "a": ""},
        interfaces=(Interface("eth0", ("10.0.0.5", "fd00::5")),),
        severity="Medium",
        numeric_severity=6,
        title="t",
        attributes=(Tag("PORT", "23"),),
        created_us=1_767_323_045_123_456,
        updated_us=1_767_323_045_123_456,
    )

    made = shaped(item_of("DescribeFindings", "findings"), finding(row, ARNS))

    assert made == {
        "arn": f"{RUN}/finding/0-AbCd12Ef",
        "schemaVersion": 1,
        "service": "Inspector",
        "serviceAttributes": {
            "schemaVersion": 1,
            "assessmentRunArn": RUN,
            "rulesPackageArn": PACKAGE,
        },
        "assetType": "ec2-instance",
        "assetAttributes": {
            "schemaVersion": 1,
            "agentId": "i-1",
            "ipv4Addresses": ["10.0.0.5"],
            "tags": [{"key": "a", "value": ""}, {"key": "b", "value": "2"}],
            "networkInterfaces": [
                {
                    "networkInterfaceId": "eth0",
                    "privateIpAddress": "10.0.0.5",
                    "privateIpAddresses": [{"privateIpAddress": "10.0.0.5"}],
                    "ipv6Addresses": ["fd00::5"],
                }
            ],
        },
        "id": "insecure-client-login",
        "title": "t",
        "description": "",
        "recommendation": "",
        "severity": "Medium",
        "numericSeverity": 6.0,
        "confidence": 10,
        "indicatorOfCompromise": False,
        "attributes": [{"key": "PORT", "value": "23"}],
        "userAttributes": [],
        "createdAt": 1767323045.123,
        "updatedAt": 1767323045.123,
    }


def test_exclusion_names_its_package_by_arn() -> None:
    value = Exclusion(
        title="t",
        description="d",
        recommendation="r",
        scopes=(Scope("INSTANCE_ID", "i-1"), Scope("RULES_PACKAGE_ARN", "runtime-behavior")),
        id="0-AbCd12Ef",
        run_arn=RUN,
    )

    made = shaped(item_of("DescribeExclusions", "exclusions"), exclusion(value, ARNS))

    assert made["arn"] == f"{RUN}/exclusion/0-AbCd12Ef"
    assert made["scopes"] == [
        {"key": "INSTANCE_ID", "value": "i-1"},
        {"key": "RULES_PACKAGE_ARN", "value": PACKAGE},
    ]


def test_exclusion_of_a_preview_has_no_arn() -> None:
    value = Exclusion(title="t", description="d", recommendation="r", scopes=())

    shape = item_of("GetExclusionsPreview", "exclusionPreviews")

    assert "arn" not in shaped(shape, exclusion(value, ARNS))


def test_agent_has_its_telemetry_by_type() -> None:
    value = RunAgent(
        run_arn=RUN,
        agent_id="i-1",
        code=HealthCode.RUNNING,
        telemetry={"B": MessageCount(2, 20), "A": MessageCount(1, 10)},
    )

    made = shaped(item_of("ListAssessmentRunAgents", "assessmentRunAgents"), run_agent(value))

    assert made == {
        "agentId": "i-1",
        "assessmentRunArn": RUN,
        "agentHealth": "HEALTHY",
        "agentHealthCode": "RUNNING",
        "telemetryMetadata": [
            {"messageType": "A", "count": 1, "dataSize": 10},
            {"messageType": "B", "count": 2, "dataSize": 20},
        ],
    }
