import json
from typing import Any

import pytest
from jsonschema import ValidationError

from analyzer.reports import document
from tests.recordings import judged, lines_of, packages
from tests.report_results import CONNECTION, one_finding, packages_of
from tests.report_schemas import ocsf


def evidence(**row: object) -> dict[str, Any]:
    result = one_finding(evidence=({"ts_us": 1, "agent_id": "i-1", **row},))
    event = json.loads(document("ocsf", result, packages_of()))
    ocsf().validate(event)
    shown = event["evidences"][0]
    assert isinstance(shown, dict)
    return shown


def test_schema_refuses_what_is_wrong() -> None:
    event = json.loads(document("ocsf", one_finding(), packages_of()))
    ocsf().validate(event)
    wrong: tuple[dict[str, object], ...] = (
        {"severity_id": 77},
        {"extra": 1},
        {"finding_info": {}},
        {"type_uid": 1},
    )
    for change in wrong:
        with pytest.raises(ValidationError):
            ocsf().validate(event | change)


def test_finding_of_the_golden_recording() -> None:
    lines = document("ocsf", judged(lines_of()), packages()).splitlines()
    events = [json.loads(line) for line in lines]
    for event in events:
        ocsf().validate(event)
    assert [event["severity_id"] for event in events] == [4, 3, 1]
    event = events[1]
    assert event["class_uid"] == 2004
    assert event["message"] == "telnet connected to 10.0.9.8 port 23"
    assert event["finding_info"]["uid"] == "d7316757a1a6c748743c3647af94bf9f"
    assert event["finding_info"]["analytic"]["uid"] == "telnet-client"
    assert event["finding_info"]["first_seen_time"] == 1763955302000
    assert event["remediation"] == {
        "desc": "Use SSH.",
        "references": ["https://www.rfc-editor.org/rfc/rfc854"],
    }
    assert event["evidences"][0]["src_endpoint"] == {
        "ip": "10.0.0.7",
        "port": 40112,
        "uid": "i-web",
    }
    assert event["evidences"][0]["dst_endpoint"] == {"ip": "10.0.9.8", "port": 23}


def test_peer_that_opened_a_connection_is_the_source() -> None:
    shown = evidence(**CONNECTION | {"direction": "inbound"})
    assert shown["src_endpoint"]["ip"] == CONNECTION["remote_address"]
    assert shown["dst_endpoint"]["ip"] == CONNECTION["local_address"]
    assert shown["connection_info"]["direction_id"] == 1


def test_listener_is_a_destination_and_keeps_odd_addresses_as_names() -> None:
    shown = evidence(telemetry="listener", local_address="odd", local_port=80, protocol="tcp")
    assert shown["dst_endpoint"] == {
        "name": "odd",
        "port": 80,
        "uid": "h-db",
        "hostname": "db.test",
    }
    assert "src_endpoint" not in shown


def test_port_without_address_is_no_endpoint() -> None:
    shown = evidence(telemetry="connection", remote_port=23, direction="outbound")
    assert "dst_endpoint" not in shown
    assert shown["data"]["remote_port"] == 23


def test_process_without_id_stays_in_data() -> None:
    assert "process" not in evidence(telemetry="process", process_name="app")


def test_process_with_everything() -> None:
    shown = evidence(
        telemetry="process",
        pid=5,
        process_name="app",
        process_path="/usr/bin/app",
        process_start_us=5_000,
        parent_pid=1,
        uid=0,
        user="root",
        container_id="c1",
    )
    assert shown["process"]["created_time"] == 5
    assert shown["process"]["parent_process"] == {"pid": 1}
    assert shown["process"]["user"] == {"name": "root", "uid": "0"}
    assert shown["container"] == {"uid": "c1"}


def test_tls_call_file_and_query() -> None:
    shown = evidence(
        telemetry="tls_session",
        tls_version="TLSv1.0",
        server_name="a.test",
        ja3="0" * 32,
        ja4="t10d",
    )
    assert shown["tls"]["version"] == "TLSv1.0"
    assert shown["tls"]["ja3_hash"]["value"] == "0" * 32
    assert shown["ja4_fingerprint_list"][0]["value"] == "t10d"
    call = evidence(telemetry="aws_call", endpoint="s3.amazonaws.com", remote_port=80)
    assert call["dst_endpoint"] == {"hostname": "s3.amazonaws.com", "port": 80}
    file = evidence(telemetry="directory", path="/usr/bin", owner="bob")["file"]
    assert (file["name"], file["type"], file["owner"]) == ("bin", "Folder", {"name": "bob"})
    query = evidence(telemetry="dns_answer", name="a.test", type="A")["query"]
    assert query == {"hostname": "a.test", "type": "A"}


def test_techniques_and_sub_techniques() -> None:
    event = json.loads(document("ocsf", one_finding(rule="imdsv1-burst"), packages_of()))
    assert event["finding_info"]["attacks"] == [
        {"technique": {"uid": "T1552"}, "sub_technique": {"uid": "T1552.005"}}
    ]


def test_closing_finding_has_no_evidence() -> None:
    event = json.loads(document("ocsf", one_finding(evidence=(), and_more=7), packages_of()))
    ocsf().validate(event)
    assert "evidences" not in event


def test_finding_of_a_rule_that_is_gone() -> None:
    event = json.loads(document("ocsf", one_finding(rule="gone"), packages_of()))
    ocsf().validate(event)
    assert "remediation" not in event
    assert event["finding_info"]["desc"] == "Telnet was used"
