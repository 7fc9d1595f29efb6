"""What clients rely on besides answers: errors, pages, keys, and the order of Terraform's calls."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from analyzer.aws.shapes import error_codes, error_members
from tests.aws_rows import HOSTS, Seeded, seed
from tests.aws_server import ACCOUNT, REGION, AwsServer, Client, aws_server, wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.allow_blocking]
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"
NOBODY = f"arn:aws:inspector:{REGION}:{ACCOUNT}:target/0-ZZZZZZZZ"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AwsServer, Seeded]]:
    folder = tmp_path_factory.mktemp("aws")
    seeded = seed(AwsServer(folder).data)
    with aws_server(folder) as server:
        yield server, seeded


@pytest.fixture(scope="module")
def server(served: tuple[AwsServer, Seeded]) -> AwsServer:
    return served[0]


@pytest.fixture(scope="module")
def seeded(served: tuple[AwsServer, Seeded]) -> Seeded:
    return served[1]


@pytest.fixture(scope="module")
def client(server: AwsServer) -> Client:
    return server.client()


@pytest.fixture
def template(client: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """Return a template of its own target, which is deleted afterwards."""
    packages = client.list_rules_packages()["rulesPackageArns"]
    target = client.create_assessment_target(assessmentTargetName=request.node.name)
    arn = target["assessmentTargetArn"]
    made = client.create_assessment_template(
        assessmentTargetArn=arn,
        assessmentTemplateName="template",
        durationInSeconds=180,
        rulesPackageArns=packages,
    )
    yield made["assessmentTemplateArn"]
    delete_target(client, arn)


def delete_target(client: Client, arn: str) -> None:
    """Delete a target as Terraform does: again while a run is in progress."""
    deadline = time.monotonic() + 60
    while True:
        try:
            client.delete_assessment_target(assessmentTargetArn=arn)
        except client.exceptions.AssessmentRunInProgressException:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        except client.exceptions.NoSuchEntityException:
            return
        else:
            return


def refused(call: Callable[..., Any], **parameters: object) -> dict[str, Any]:
    """Return the error's body, after a look at whether it has what the model gives it."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response: dict[str, Any] = caught.value.response
    code = response["Error"]["Code"]
    assert set(error_members()[code]) - {"message"} <= response.keys()
    if "errorCode" in response:
        assert response["errorCode"] in error_codes(code)
    assert len(response["ResponseMetadata"]["RequestId"]) == 36
    return response


def code_of(response: Mapping[str, Any]) -> tuple[str, str | None]:
    return response["Error"]["Code"], response.get("errorCode")


# ------------------------------------------------------------------------------------- errors
# InternalException is left out: it is what a fault of the server's is answered with.


def test_invalid_input(client: Client) -> None:
    error = refused(client.create_assessment_target, assessmentTargetName="x" * 141)

    assert code_of(error) == ("InvalidInputException", "INVALID_ASSESSMENT_TARGET_NAME")
    assert error["canRetry"] is False


def test_name_that_is_taken(client: Client) -> None:
    error = refused(client.create_assessment_target, assessmentTargetName="seeded")

    assert code_of(error)[1] == "ASSESSMENT_TARGET_NAME_ALREADY_TAKEN"


def test_page_token_of_another_list(client: Client) -> None:
    token = client.list_rules_packages(maxResults=1)["nextToken"]

    error = refused(client.list_assessment_targets, nextToken=token)

    assert code_of(error)[1] == "INVALID_PAGINATION_TOKEN"


def test_entity_that_does_not_exist(client: Client) -> None:
    error = refused(client.delete_assessment_target, assessmentTargetArn=NOBODY)

    assert code_of(error) == ("NoSuchEntityException", "ASSESSMENT_TARGET_DOES_NOT_EXIST")


def test_limit_of_subscriptions(client: Client, template: str) -> None:
    for number in range(50):
        client.subscribe_to_event(
            resourceArn=template, event="FINDING_REPORTED", topicArn=f"{TOPIC}{number}"
        )

    error = refused(client.subscribe_to_event, resourceArn=template, event="OTHER", topicArn=TOPIC)

    assert code_of(error) == ("LimitExceededException", "EVENT_SUBSCRIPTION_LIMIT_EXCEEDED")


def test_role_of_another_account(client: Client) -> None:
    error = refused(
        client.register_cross_account_access_role, roleArn="arn:aws:iam::111122223333:role/x"
    )

    assert code_of(error)[0] == "InvalidCrossAccountRoleException"


def test_preview_that_is_being_made(client: Client, template: str) -> None:
    """The server makes previews twice a second; of twenty asked at once some must wait."""
    errors = []
    for _ in range(20):
        try:
            client.create_exclusions_preview(assessmentTemplateArn=template)
        except client.exceptions.PreviewGenerationInProgressException as error:
            errors.append(error.response["Error"]["Message"])
    assert errors
    assert "canRetry" not in errors


def test_store_that_cannot_be_written(server: AwsServer, client: Client) -> None:
    """Another process holds the database for longer than the server waits."""
    with sqlite3.connect(server.data.store, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        error = refused(client.create_resource_group, resourceGroupTags=[{"key": "k"}])
        other.execute("ROLLBACK")
    other.close()

    assert code_of(error)[0] == "ServiceTemporarilyUnavailableException"
    assert error["canRetry"] is True


def test_run_of_busy_agents(server: AwsServer, client: Client, template: str) -> None:
    """All that a run in progress stands in the way of, and what it leaves when it is cancelled."""
    server.start_agent()
    target = template.partition("/template/")[0]
    wait_until(lambda: "HEALTHY" in healths(client, target), "the agent")
    run = client.start_assessment_run(assessmentTemplateArn=template)["assessmentRunArn"]
    report = {"assessmentRunArn": run, "reportFileFormat": "PDF", "reportType": "FULL"}

    busy = refused(client.start_assessment_run, assessmentTemplateArn=template)
    for call, parameters in (
        (client.delete_assessment_run, {"assessmentRunArn": run}),
        (client.delete_assessment_template, {"assessmentTemplateArn": template}),
        (client.delete_assessment_target, {"assessmentTargetArn": target}),
        (client.get_assessment_report, report),
    ):
        error = refused(call, **parameters)
        assert code_of(error)[0] == "AssessmentRunInProgressException"
        assert error["assessmentRunArns"] == [run]
        assert error["assessmentRunArnsTruncated"] is False
    client.stop_assessment_run(assessmentRunArn=run, stopAction="SKIP_EVALUATION")
    wait_until(lambda: state_of(client, run) == "CANCELED", "the end of the run")
    client.stop_assessment_run(assessmentRunArn=run)  # of no effect, and no error
    unsupported = refused(client.get_assessment_report, **report)

    assert code_of(busy)[0] == "AgentsAlreadyRunningAssessmentException"
    assert busy["agents"] == [{"agentId": "i-0load", "assessmentRunArn": run}]
    assert busy["agentsTruncated"] is False
    assert code_of(unsupported)[0] == "UnsupportedFeatureException"


def healths(client: Client, target: str) -> list[str]:
    previews = client.preview_agents(previewAgentsArn=target)["agentPreviews"]
    return [preview["agentHealth"] for preview in previews]


def state_of(client: Client, run: str) -> str:
    (found,) = client.describe_assessment_runs(assessmentRunArns=[run])["assessmentRuns"]
    return str(found["state"])


# --------------------------------------------------------------------------------------- keys


def test_reader_may_look_and_change_nothing(server: AwsServer) -> None:
    server.proctor("keys", "add", "reader", "--read-only")
    reader = server.client("reader")

    assert reader.list_rules_packages()["rulesPackageArns"]
    error = refused(reader.create_assessment_target, assessmentTargetName="x")
    assert code_of(error) == ("AccessDeniedException", "ACCESS_DENIED_TO_ASSESSMENT_TARGET")


def test_temporary_key_works_until_it_is_revoked(server: AwsServer) -> None:
    server.proctor("keys", "add", "guest", "--for", "1h")
    guest = server.client("guest")
    assert guest.list_rules_packages()["rulesPackageArns"]

    server.proctor("keys", "revoke", "guest")

    def is_refused() -> bool:
        try:
            guest.list_rules_packages()
        except ClientError as error:
            return code_of(error.response)[0] == "UnrecognizedClientException"
        return False

    wait_until(is_refused, "the refusal", within_s=10)


def test_another_region_is_told_ours(server: AwsServer) -> None:
    with pytest.raises(ClientError, match="AWS_REGION=us-east-1"):
        server.client(region="eu-west-1").list_rules_packages()


# -------------------------------------------------------------------------------------- pages


def paged(client: Client, operation: str, name: str, **parameters: object) -> list[Any]:
    """Return all items by pages of one; ``name`` of the paginator's result."""
    pages = client.get_paginator(operation).paginate(PaginationConfig={"PageSize": 1}, **parameters)
    found = [page[name] for page in pages]
    assert all(len(page) <= 1 for page in found)
    return [item for page in found for item in page]


@pytest.mark.parametrize(
    ("operation", "name", "key"),
    [
        ("list_findings", "findingArns", "assessmentRunArns"),
        ("list_assessment_runs", "assessmentRunArns", "assessmentTemplateArns"),
        ("list_assessment_templates", "assessmentTemplateArns", "assessmentTargetArns"),
        ("list_assessment_run_agents", "assessmentRunAgents", "assessmentRunArn"),
        ("list_exclusions", "exclusionArns", "assessmentRunArn"),
        ("preview_agents", "agentPreviews", "previewAgentsArn"),
        ("list_rules_packages", "rulesPackageArns", None),
    ],
)
def test_pages_are_the_whole_list(
    client: Client, seeded: Seeded, operation: str, name: str, key: str | None
) -> None:
    values = {
        "assessmentRunArns": [seeded.run],
        "assessmentTemplateArns": [seeded.template],
        "assessmentTargetArns": [seeded.target],
        "assessmentRunArn": seeded.run,
        "previewAgentsArn": seeded.target,
    }
    parameters = {key: values[key]} if key else {}

    whole = getattr(client, operation)(**parameters)

    assert paged(client, operation, name, **parameters) == whole[name]
    assert whole[name]
    assert "nextToken" not in whole


def test_pages_of_targets_and_subscriptions(client: Client, template: str) -> None:
    topics = [f"{TOPIC}{number}" for number in range(3)]
    for topic in topics:
        client.subscribe_to_event(resourceArn=template, event="OTHER", topicArn=topic)
    names = client.list_assessment_targets()["assessmentTargetArns"]

    rows = paged(client, "list_event_subscriptions", "subscriptions", resourceArn=template)

    assert sorted(row["topicArn"] for row in rows) == topics
    assert paged(client, "list_assessment_targets", "assessmentTargetArns") == names


# ------------------------------------------------------------------------- habits of clients


def test_filters_find_what_they_name(client: Client, seeded: Seeded) -> None:
    def found(**filters: object) -> set[int]:
        arns = client.list_findings(assessmentRunArns=[seeded.run], filter=filters)["findingArns"]
        return {seeded.findings.index(arn) for arn in arns}

    assert found(severities=["High"]) == {0, 4}
    assert found(ruleNames=["rule-1", "rule-2"]) == {1, 2}
    assert found(agentIds=[HOSTS[0]]) == {0, 3}
    assert found(attributes=[{"key": "PORT", "value": "23"}]) == {3}
    assert found(severities=["High"], agentIds=[HOSTS[1]]) == {4}
    assert found(autoScalingGroups=["none"]) == set()


def test_whole_pages_are_described_as_exporters_do(client: Client, seeded: Seeded) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    window = {"beginDate": since, "endDate": since + timedelta(days=300)}
    page = client.list_findings(maxResults=100, filter={"creationTimeRange": window})
    asked = [*page["findingArns"], f"{seeded.run}/finding/0-ZZZZZZZZ", "no ARN"]

    answer = client.describe_findings(findingArns=asked * 1)

    assert [finding["arn"] for finding in answer["findings"]] == page["findingArns"]
    assert {arn: item["failureCode"] for arn, item in answer["failedItems"].items()} == {
        f"{seeded.run}/finding/0-ZZZZZZZZ": "ITEM_DOES_NOT_EXIST",
        "no ARN": "INVALID_ARN",
    }
    assert page["findingArns"] == sorted(page["findingArns"], reverse=True)


def test_terraform_makes_reads_changes_imports_and_deletes(client: Client) -> None:
    """The order of calls of Terraform's AWS provider."""
    packages = sorted(client.list_rules_packages()["rulesPackageArns"])
    tags = [{"key": "env", "value": "prod"}]
    group = client.create_resource_group(resourceGroupTags=tags)["resourceGroupArn"]
    (read,) = client.describe_resource_groups(resourceGroupArns=[group])["resourceGroups"]
    assert read["tags"] == tags

    target = client.create_assessment_target(
        assessmentTargetName="terraform", resourceGroupArn=group
    )["assessmentTargetArn"]
    (read,) = client.describe_assessment_targets(assessmentTargetArns=[target])["assessmentTargets"]
    assert (read["arn"], read["name"], read["resourceGroupArn"]) == (target, "terraform", group)
    other = client.create_resource_group(resourceGroupTags=[{"key": "env"}])["resourceGroupArn"]
    client.update_assessment_target(
        assessmentTargetArn=target, assessmentTargetName="terraform", resourceGroupArn=other
    )

    template = client.create_assessment_template(
        assessmentTargetArn=target,
        assessmentTemplateName="terraform",
        durationInSeconds=3600,
        rulesPackageArns=packages,
    )["assessmentTemplateArn"]
    client.set_tags_for_resource(resourceArn=template, tags=tags)
    client.subscribe_to_event(
        resourceArn=template, event="ASSESSMENT_RUN_COMPLETED", topicArn=TOPIC
    )
    assert imported(client, template) == {
        "name": "terraform",
        "target": target,
        "duration": 3600,
        "packages": packages,
        "tags": tags,
        "events": [("ASSESSMENT_RUN_COMPLETED", TOPIC)],
    }

    client.set_tags_for_resource(resourceArn=template)  # no tags left in the configuration
    client.unsubscribe_from_event(
        resourceArn=template, event="ASSESSMENT_RUN_COMPLETED", topicArn=TOPIC
    )
    client.subscribe_to_event(resourceArn=template, event="FINDING_REPORTED", topicArn=TOPIC)
    read = imported(client, template)
    assert (read["tags"], read["events"]) == ([], [("FINDING_REPORTED", TOPIC)])

    client.delete_assessment_template(assessmentTemplateArn=template)
    gone = client.describe_assessment_templates(assessmentTemplateArns=[template])
    assert gone["assessmentTemplates"] == []
    assert gone["failedItems"][template]["failureCode"] == "ITEM_DOES_NOT_EXIST"
    delete_target(client, target)
    gone = client.describe_assessment_targets(assessmentTargetArns=[target])
    assert gone["assessmentTargets"] == []


def imported(client: Client, template: str) -> dict[str, Any]:
    """Return what Terraform's state has of a template, as import by ARN reads it."""
    (read,) = client.describe_assessment_templates(assessmentTemplateArns=[template])[
        "assessmentTemplates"
    ]
    subscriptions = client.get_paginator("list_event_subscriptions").paginate(resourceArn=template)
    return {
        "name": read["name"],
        "target": read["assessmentTargetArn"],
        "duration": read["durationInSeconds"],
        "packages": sorted(read["rulesPackageArns"]),
        "tags": client.list_tags_for_resource(resourceArn=template)["tags"],
        "events": [
            (event["event"], row["topicArn"])
            for page in subscriptions
            for row in page["subscriptions"]
            if row["resourceArn"] == template
            for event in row["eventSubscriptions"]
        ],
    }


def test_deletion_waits_for_the_run_as_terraform_does(client: Client, template: str) -> None:
    """Without any healthy host a run waits for one; its target is deleted once it has ended."""
    target = template.partition("/template/")[0]
    group = client.create_resource_group(resourceGroupTags=[{"key": "none"}])["resourceGroupArn"]
    client.update_assessment_target(
        assessmentTargetArn=target, assessmentTargetName="waits", resourceGroupArn=group
    )
    run = client.start_assessment_run(assessmentTemplateArn=template)["assessmentRunArn"]
    error = refused(client.delete_assessment_target, assessmentTargetArn=target)
    assert error["assessmentRunArns"] == [run]

    client.stop_assessment_run(assessmentRunArn=run, stopAction="SKIP_EVALUATION")
    delete_target(client, target)

    gone = client.describe_assessment_runs(assessmentRunArns=[run])
    assert gone["failedItems"][run]["failureCode"] == "ITEM_DOES_NOT_EXIST"
