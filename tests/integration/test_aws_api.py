"""The AWS API as its clients see it: boto3 and the `aws` command against a served process."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch
from urllib.request import urlopen

import pytest

from analyzer.aws.shapes import operations
from tests.aws_calls import audit_lines
from tests.aws_server import ACCOUNT, AGENT, REGION, AwsServer, aws_server, wait_until
from tests.aws_story import ATTRIBUTE, ROLE, TAG, TOPIC, Story

pytestmark = [pytest.mark.timeout(180), pytest.mark.allow_blocking]
PREFIX = f"arn:aws:inspector:{REGION}:{ACCOUNT}:"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    with aws_server(tmp_path_factory.mktemp("aws")) as server:
        server.start_agent()
        target = server.client().create_assessment_target(assessmentTargetName="warm-up")
        arn = target["assessmentTargetArn"]
        agents = server.client().preview_agents
        wait_until(lambda: bool(agents(previewAgentsArn=arn)["agentPreviews"]), "the agent")
        server.client().delete_assessment_target(assessmentTargetArn=arn)
        yield server


@pytest.fixture(scope="module")
def told_by_boto3(server: AwsServer) -> Story:
    client = server.client()
    methods = {
        client.meta.method_to_api_mapping[name]: getattr(client, name)
        for name in client.meta.method_to_api_mapping
    }

    def call(operation: str, parameters: dict[str, Any]) -> object:
        return methods[operation](**parameters)

    return Story(call, "boto3").tell()


@pytest.fixture(scope="module")
def told_by_cli(server: AwsServer, told_by_boto3: Story) -> Story:
    assert told_by_boto3.answers  # one agent can be in one run at a time
    from awscli.clidriver import create_clidriver
    from botocore import xform_name

    def call(operation: str, parameters: dict[str, Any]) -> object:
        name = xform_name(operation, "-")
        given = ["--cli-input-json", json.dumps(parameters)] if parameters else []
        printed = io.StringIO()
        with patch.dict(os.environ, server.environment), contextlib.redirect_stdout(printed):
            code = create_clidriver().main(["inspector", name, *given])
        assert code == 0, operation
        return json.loads(printed.getvalue()) if printed.getvalue().strip() else {}

    return Story(call, "cli").tell()


@pytest.fixture(params=["boto3", "cli"])
def story(request: pytest.FixtureRequest) -> Story:
    told: Story = request.getfixturevalue(f"told_by_{request.param}")
    return told


def test_every_operation_was_called(story: Story) -> None:
    assert story.answers.keys() == operations().keys()


def test_arns_nest(story: Story) -> None:
    target = story.answers["CreateAssessmentTarget"]["assessmentTargetArn"]
    template = story.answers["CreateAssessmentTemplate"]["assessmentTemplateArn"]
    run = story.answers["StartAssessmentRun"]["assessmentRunArn"]
    findings = story.answers["ListFindings"]["findingArns"]

    assert target.startswith(f"{PREFIX}target/0-")
    assert template.startswith(f"{target}/template/0-")
    assert run.startswith(f"{template}/run/0-")
    assert findings
    assert all(arn.startswith(f"{run}/finding/0-") for arn in findings)


def test_target_was_switched_to_all_hosts(story: Story) -> None:
    (target,) = story.answers["DescribeAssessmentTargets"]["assessmentTargets"]
    group = story.answers["DescribeResourceGroups"]["resourceGroups"][0]

    assert "resourceGroupArn" not in target
    assert group["tags"] == [{"key": "no-such-tag"}]
    assert [one["agentId"] for one in story.answers["PreviewAgents"]["agentPreviews"]] == [AGENT]


def test_template_is_as_it_was_made(story: Story) -> None:
    (template,) = story.answers["DescribeAssessmentTemplates"]["assessmentTemplates"]

    assert template["durationInSeconds"] == 180
    assert template["userAttributesForFindings"] == [ATTRIBUTE]
    assert sorted(template["rulesPackageArns"]) == sorted(
        story.answers["ListRulesPackages"]["rulesPackageArns"]
    )
    assert template["assessmentRunCount"] == 1
    assert (
        template["lastAssessmentRunArn"] == story.answers["StartAssessmentRun"]["assessmentRunArn"]
    )
    assert story.answers["ListTagsForResource"]["tags"] == [TAG]


def test_subscriptions_stand_together_by_topic(story: Story) -> None:
    (row,) = story.answers["ListEventSubscriptions"]["subscriptions"]

    assert (row["resourceArn"], row["topicArn"]) == (
        story.answers["CreateAssessmentTemplate"]["assessmentTemplateArn"],
        TOPIC,
    )
    assert [event["event"] for event in row["eventSubscriptions"]] == ["FINDING_REPORTED"]


def test_run_went_through_its_states(story: Story) -> None:
    (run,) = story.answers["DescribeAssessmentRuns"]["assessmentRuns"]
    states = [change["state"] for change in run["stateChanges"]]

    assert states[0] == "CREATED"
    assert states[-1] == run["state"] == "COMPLETED"
    assert "STOP_DATA_COLLECTION_PENDING" in states
    assert run["dataCollected"] is True
    assert set(run["findingCounts"]) == {"High", "Medium", "Low", "Informational", "Undefined"}
    assert run["findingCounts"]["Medium"] >= 1
    assert run["name"].startswith("Run - ")
    assert run["createdAt"] <= run["startedAt"] <= run["completedAt"]


def test_telemetry_is_counted(story: Story) -> None:
    rows = {
        row["messageType"]: row
        for row in story.answers["GetTelemetryMetadata"]["telemetryMetadata"]
    }
    (agent,) = story.answers["ListAssessmentRunAgents"]["assessmentRunAgents"]

    assert rows["InspectorTcpV4Connection"]["count"] > 0
    assert rows["Total"]["count"] == sum(
        row["count"] for name, row in rows.items() if name != "Total"
    )
    assert (agent["agentId"], agent["agentHealth"]) == (AGENT, "HEALTHY")
    assert agent["telemetryMetadata"]


def test_finding_has_what_clients_index(story: Story) -> None:
    finding = story.answers["DescribeFindings"]["findings"][0]

    assert finding["id"] == "insecure-client-login"
    assert (finding["severity"], finding["numericSeverity"]) == ("Medium", 6.0)
    assert finding["assetAttributes"]["agentId"] == AGENT
    assert isinstance(finding["assetAttributes"]["networkInterfaces"], list)
    assert finding["assetAttributes"]["tags"] == []
    assert finding["attributes"]
    assert ATTRIBUTE in finding["userAttributes"]
    assert {"key": "owner", "value": "web"} in finding["userAttributes"]
    assert all(pair["key"] != "note" for pair in finding["userAttributes"])
    assert finding["serviceAttributes"]["rulesPackageArn"].endswith("0-gBONHN9h")


def test_packages_have_the_arns_of_inspector(story: Story) -> None:
    packages = story.answers["DescribeRulesPackages"]["rulesPackages"]
    arns = {package["arn"] for package in packages}

    assert "arn:aws:inspector:us-east-1:316112463485:rulespackage/0-gBONHN9h" in arns
    assert "arn:aws:inspector:us-east-1:316112463485:rulespackage/0-R01qwB5Q" in arns
    assert all(package["name"] and package["version"] for package in packages)


def test_role_is_kept(story: Story) -> None:
    role = story.answers["DescribeCrossAccountAccessRole"]

    assert (role["roleArn"], role["valid"]) == (ROLE, True)


def test_preview_is_made(story: Story) -> None:
    assert story.answers["GetExclusionsPreview"]["previewStatus"] == "COMPLETED"


def test_report_was_to_be_had_without_credentials(server: AwsServer, story: Story) -> None:
    url = story.answers["GetAssessmentReport"]["url"]

    assert url.startswith(f"{server.note.api_url}/reports/")
    with pytest.raises(OSError, match="404"):  # its run is deleted by now
        urlopen(url)  # noqa: S310 (of our own server)


def test_calls_are_written_down(server: AwsServer, story: Story) -> None:
    lines = audit_lines(server.data.audit)

    assert {line["eventName"] for line in lines} >= story.answers.keys()
    assert all(line["responseElements"] is None for line in lines if line["readOnly"])
    assert all(line["userIdentity"]["userName"] for line in lines)
