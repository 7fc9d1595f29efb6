from typing import Any

import msgspec

from analyzer.present.evidence import event_line, evidence_lines
from analyzer.results.findings import Finding
from tests.judging import row

BASE_US = 1_763_955_300_000_000


def finding(rows: int, *, and_more: int = 0) -> Finding:
    return msgspec.convert(
        {
            "rule": "r",
            "rule_version": 1,
            "package": "p",
            "agent_id": "i-1",
            "severity": "Low",
            "numeric_severity": 3,
            "title": "t",
            "group": {},
            "count": rows + and_more,
            "first_seen_us": 0,
            "last_seen_us": 1,
            "occurrence_id": "o",
            "issue_id": "i",
            "coverage": 1,
            "evidence": [row(BASE_US + number * 1_000_000) for number in range(rows)],
            "and_more": and_more,
            "window": {"from_us": 0, "to_us": 1, "coverage": 1},
            "measured": None,
            "limit": None,
            "margin": None,
            "buckets": {"width_us": 60_000_000, "counts": [[0, rows]]},
        },
        Finding,
    )


def seconds(lines: list[str]) -> list[str]:
    return [line[17:19] if line[0] == "2" else line for line in lines]


def test_few_events_are_all_shown() -> None:
    assert seconds(list(evidence_lines(finding(3), 20))) == ["00", "01", "02"]
    assert len(list(evidence_lines(finding(1), 20))) == 1


def test_what_the_finding_leaves_out_stands_between_first_and_last() -> None:
    lines = list(evidence_lines(finding(4, and_more=1_200), 20))
    assert seconds(lines) == ["00", "01", "… 1,200 more …", "02", "03"]


def test_bound_keeps_the_first_and_the_last() -> None:
    lines = list(evidence_lines(finding(10, and_more=5), 3))
    assert seconds(lines) == ["00", "01", "… 12 more …", "09"]
    assert seconds(list(evidence_lines(finding(10), 1))) == ["00", "… 9 more …"]


def line(telemetry: str = "connection", **values: Any) -> str:  # noqa: ANN401
    return event_line({"telemetry": telemetry, "ts_us": BASE_US, "agent_id": "i-1"} | values)


def test_connection_says_who_with_whom() -> None:
    assert (
        line(
            direction="outbound",
            protocol="tcp",
            state="closed",
            local_address="10.0.0.7",
            local_port=40112,
            remote_address="2001:db8::1",
            remote_port=23,
            remote_scope="public",
            bytes_sent=12,
            process_name="telnet",
            pid=5120,
            attribution="polled",
            source="sock_diag",
        )
        == "2025-11-24 03:35:00.000  connection  outbound  tcp  closed  "
        "10.0.0.7:40112 → [2001:db8::1]:23  bytes_sent=12  by telnet [5120] (polled)"
    )


def test_inbound_connection_points_the_other_way() -> None:
    text = line(
        direction="inbound", local_address="10.0.0.7", local_port=80, remote_address="10.0.0.9"
    )
    assert "10.0.0.7:80 ← 10.0.0.9" in text


def test_half_known_ends() -> None:
    assert "  port 443  " in line(local_port=443)
    assert "  169.254.169.254  " in line("imds_request", remote_address="169.254.169.254")


def test_values_are_safe_and_readable() -> None:
    text = line(
        "tls_session",
        cert_subject="CN=a b\x1b",
        cert_not_after_us=BASE_US,
        cert_self_signed=True,
        tls_version="TLSv1.2",
    )
    assert "TLSv1.2" in text
    assert 'cert_subject="CN=a b\\x1b"' in text
    assert "cert_not_after_us=2025-11-24  " in text
    assert "cert_self_signed=true" in text
    assert text.endswith("by unknown")


def test_setting_of_the_host_is_nobodys() -> None:
    line = event_line({"telemetry": "setting", "ts_us": BASE_US, "name": "pass_max_days"})
    assert line == "2025-11-24 03:35:00.000  setting  name=pass_max_days"
