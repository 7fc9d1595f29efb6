import json
from typing import Any

import msgspec

from analyzer.reports import document
from analyzer.reports.aws_account import AwsAccount, account_of
from analyzer.results.document import Result
from tests.recordings import judged, lines_of, packages
from tests.report_results import CONNECTION, one_finding, packages_of
from tests.report_schemas import asff_problems

INSTANCE = "i-0123456789abcdef0"


def batches(result: Result, aws: AwsAccount | None = None) -> list[dict[str, Any]]:
    lines = document("asff", result, packages_of(), aws=aws).splitlines()
    made = [json.loads(line) for line in lines]
    assert [asff_problems(batch) for batch in made] == [""] * len(made)
    return made


def finding(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 (any field of a finding)
    made = batches(one_finding(**changes))[0]["Findings"][0]
    assert isinstance(made, dict)
    return made


def test_model_refuses_what_is_wrong() -> None:
    batch = batches(one_finding())[0]
    assert "Title" in asff_problems({"Findings": [batch["Findings"][0] | {"Title": 1}]})
    assert "Invalid length" in asff_problems({"Findings": []})


def test_golden_recording() -> None:
    line = document("asff", judged(lines_of()), packages())
    first = json.loads(line)["Findings"][0]
    assert first["Title"] == "Process that keeps asking the metadata service"
    assert first["Severity"] == {"Label": "HIGH", "Original": "9.0"}
    assert first["Types"] == ["Software and Configuration Checks/rules"]
    fields = first["ProductFields"]
    assert fields["attributes/PROCESS_NAME"] == "app"
    assert fields["attributes/INSTANCE_ID"] == "i-db"
    assert fields["aws/inspector/id"] == "metadata-burst"
    assert first["Remediation"]["Recommendation"]["Text"] == "Cache the answer."


def test_a_hundred_findings_are_a_batch() -> None:
    result = one_finding()
    many = msgspec.structs.replace(result, findings=result.findings * 201)
    assert [len(batch["Findings"]) for batch in batches(many)] == [100, 100, 1]
    assert batches(msgspec.structs.replace(result, findings=())) == []


def test_account_comes_from_the_run_or_from_who_asks() -> None:
    result = one_finding(agent_id=INSTANCE)
    mine = AwsAccount("111122223333", "eu-west-1")
    made = batches(result, mine)[0]["Findings"][0]
    product = "arn:aws:securityhub:eu-west-1:111122223333:product/111122223333/default"
    assert (made["AwsAccountId"], made["ProductArn"]) == ("111122223333", product)
    assert made["Resources"][0]["Id"] == f"arn:aws:ec2:eu-west-1:111122223333:instance/{INSTANCE}"
    arn = "arn:aws-cn:inspector:cn-north-1:444455556666:target/0-x/template/0-y/run/0-z"
    run = msgspec.structs.replace(result.run, arn=arn)
    made = batches(msgspec.structs.replace(result, run=run), mine)[0]["Findings"][0]
    assert made["AwsAccountId"] == "444455556666"
    assert made["Resources"][0]["Partition"] == "aws-cn"
    assert made["ProductFields"]["serviceAttributes/assessmentRunArn"] == arn


def test_environment_names_the_account() -> None:
    assert account_of({}) == AwsAccount()
    names = {"AWS_ACCOUNT_ID": "111122223333", "AWS_DEFAULT_REGION": "us-gov-west-1"}
    account = account_of(names)
    assert account == AwsAccount("111122223333", "us-gov-west-1")
    assert account.partition == "aws-us-gov"
    assert account_of({"AWS_ACCOUNT_ID": "x", "AWS_REGION": "nowhere"}) == AwsAccount()
    assert account_of(names | {"AWS_REGION": "eu-west-1"}).region == "eu-west-1"


def test_host_that_is_no_instance() -> None:
    assert finding(agent_id="h-db")["Resources"][0] == {
        "Type": "Other",
        "Id": "h-db",
        "Partition": "aws",
        "Region": "us-east-1",
        "Details": {"Other": {"hostname": "db.test"}},
    }


def test_long_and_empty_texts_are_cut_and_named() -> None:
    made = finding(title="x" * 300, group={"process_name": ""})
    assert made["Title"] == "x" * 255 + "…"
    assert made["ProductFields"]["attributes/PROCESS_NAME"] == "unknown"
    assert finding(title=" ")["Title"] == "unknown"


def test_many_columns_stay_below_the_limit_of_fields() -> None:
    made = finding(group={f"column{number}": 1 for number in range(60)})
    assert len(made["ProductFields"]) == 50


def test_process_and_network() -> None:
    row = {"ts_us": 1, "agent_id": "h-db", "pid": 5, "process_start_us": 0, **CONNECTION}
    made = finding(evidence=(row,))
    assert made["Process"] == {
        "Name": "telnet",
        "Pid": 5,
        "LaunchedAt": "1970-01-01T00:00:00.000000Z",
    }
    assert made["Network"] == {
        "Direction": "OUT",
        "SourceIpV4": CONNECTION["local_address"],
        "DestinationIpV4": CONNECTION["remote_address"],
        "DestinationPort": CONNECTION["remote_port"],
    }
    made = finding(evidence=({**row, "direction": "inbound", "pid": 2**40},))
    assert made["Network"]["SourceIpV4"] == CONNECTION["remote_address"]
    assert "Pid" not in made["Process"]
    assert "Process" not in finding(evidence=())


def test_finding_of_a_rule_that_is_gone() -> None:
    made = finding(rule="gone")
    assert "Remediation" not in made
    assert made["Description"] == "On db.test: Telnet was used."
