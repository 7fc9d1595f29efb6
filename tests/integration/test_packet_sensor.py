"""The packet sensor against this kernel, in a network namespace of its own."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rules.detection import EventDetection
from rules.loader import load_packages
from rules.matching import matches
from rules.telemetry.derive import derive
from rules.telemetry.event import PROCESS_ROW_KEYS
from tests.integration.watched_traffic import EACH, REQUESTS
from tests.services import find_program, missing_reason

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("watched_traffic.py")
CLEAR_TEXT = {
    20_080: "http",
    20_025: "smtp",
    20_021: "ftp",
    20_110: "pop3",
    20_143: "imap",
    20_023: "telnet",
    26_379: "redis",
    20_513: "rlogin",
}
Row = dict[str, Any]

pytestmark = pytest.mark.timeout(300)  # on a machine that has other things to do


class Watched(NamedTuple):
    rows: list[Row]
    sensors: str

    def of(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row["telemetry"] == kind]


def watch(scenario: str) -> Watched:
    """Let traffic be made and watched where nothing else is; return its events."""
    if os.geteuid() != 0:
        pytest.skip("only root can make the namespaces")
    if find_program("ip") is None:
        pytest.skip(missing_reason("ip"))
    mount = "mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; "
    run = f'exec "{sys.executable}" "{PROGRAM}" {scenario}'
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", mount + run],  # noqa: S607
        check=False,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr.decode()
    return Watched(list(map(json.loads, done.stdout.splitlines())), done.stderr.decode())


@pytest.fixture(scope="module")
def everything() -> Watched:
    return watch("all")


def sessions(watched: Watched) -> Counter[tuple[object, ...]]:
    columns = ("direction", "tls_version", "handshake", "cert_subject", "cert_unseen")
    return Counter(tuple(map(row.get, columns)) for row in watched.of("tls_session"))


def test_every_handshake_is_told_on_both_sides(everything: Watched) -> None:
    subject = "CN=service.example"
    expected = {
        (direction, version, "answered", *certificate): EACH * 2
        for direction in ("outbound", "inbound")
        for version, certificate in (
            ("TLSv1.0", (subject, None)),
            ("TLSv1.1", (subject, None)),
            ("TLSv1.2", (subject, None)),
            ("TLSv1.3", (None, "encrypted")),
        )
    }

    assert sessions(everything) == expected


def test_sessions_have_the_name_and_fingerprints_of_their_client(everything: Watched) -> None:
    rows = everything.of("tls_session")

    assert {row["server_name"] for row in rows} == {
        f"h{port}.example.test" for port in range(9_440, 9_444)
    }
    assert len({row["ja4"] for row in rows}) == 2  # with and without the many protocols
    assert all(len(row["ja3"]) == 32 for row in rows)


def test_requests_to_the_metadata_service_are_told_exactly(everything: Watched) -> None:
    requests = Counter(
        (row["imds_version"], row["purpose"]) for row in everything.of("imds_request")
    )

    assert requests == {(1, "other"): REQUESTS, (2, "token"): REQUESTS, (2, "identity"): REQUESTS}


def test_clear_text_is_recognised_on_any_port(everything: Watched) -> None:
    found = {
        row["remote_port"]: row.get("app_protocol")
        for row in everything.of("connection")
        if row["state"] == "closed" and row.get("remote_port") in CLEAR_TEXT
    }

    assert found == CLEAR_TEXT


def test_closed_rows_repeat_every_column_and_add_the_protocol(everything: Watched) -> None:
    """A protocol is recognised after the opening, so the row of the end is the first to have it."""
    grades = ("unknown", "listener", "polled", "exact")
    opened: dict[tuple[object, ...], Row] = {}
    for row in everything.of("connection"):
        if row.get("remote_port") not in CLEAR_TEXT:
            continue
        key = (row["local_port"], row["remote_port"])
        if row["state"] == "opened":
            opened[key] = row
            assert "app_protocol" not in row
            continue
        before = opened.pop(key)
        changed = {name for name in before if before[name] != row.get(name)}
        assert changed <= {"ts_us", "state", "attribution"} | set(PROCESS_ROW_KEYS)
        assert grades.index(row["attribution"]) >= grades.index(before["attribution"])
        assert row["app_protocol"] == CLEAR_TEXT[row["remote_port"]]
    assert opened == {}


def test_protocols_on_other_ports_reach_their_rules(everything: Watched) -> None:
    """The rules judge what was watched, as if the peer were not on this host."""
    rows = [
        {**row, "remote_address": "198.51.100.7"} if "remote_address" in row else row
        for row in everything.of("connection")
    ]
    selectors = [
        rule.detection.select
        for package in load_packages()
        for rule in package.rules
        if rule.id in {"insecure-client-login", "insecure-client-general"}
        and isinstance(rule.detection, EventDetection)
    ]
    found = {
        row["remote_port"]
        for row in rows
        if any(matches(selector, derive(row)) for selector in selectors)
    }

    assert found >= set(CLEAR_TEXT)


def test_names_and_calls_are_told(everything: Watched) -> None:
    answers = [(row["name"], row["address"]) for row in everything.of("dns_answer")]
    (call,) = everything.of("aws_call")

    assert answers == [("www.example.test", "192.0.2.7"), ("www.example.test", "::2")]
    assert (call["service"], call["encrypted"]) == ("s3", False)


def test_sessions_and_requests_have_the_process_of_their_connection(everything: Watched) -> None:
    if "perf on" not in everything.sensors:
        pytest.skip("the kernel tells nothing here; processes of short connections are not known")
    rows = [*everything.of("tls_session"), *everything.of("imds_request")]
    outbound = [row for row in rows if row.get("direction", "outbound") == "outbound"]

    assert {row["attribution"] for row in outbound} == {"exact"}
    assert {row["attribution"] for row in rows} <= {"exact", "listener"}
    assert all(row["process_name"].startswith("python") for row in rows)


def test_nothing_is_lost(everything: Watched) -> None:
    assert "packets on {}" in everything.sensors


def test_bulk_never_leaves_the_kernel() -> None:
    watched = watch("bulk")

    assert "packets on {}" in watched.sensors
    (closed,) = (
        row
        for row in watched.of("connection")
        if row["state"] == "closed" and row.get("remote_port") == 20_000
    )
    assert closed["bytes_received"] > 100_000_000


def test_questions_of_the_probe_are_no_traffic() -> None:
    sources = {row["source"] for row in watch("probed").of("tls_session")}

    assert sources == {"probe"}


def test_without_a_filter_by_flow_whole_messages_are_told() -> None:
    """A hello that spans packets is missed then, and the sensor says so."""
    watched = watch("by_content")

    assert "packets degraded" in watched.sensors
    versions = Counter(
        (row.get("tls_version"), row["handshake"])
        for row in watched.of("tls_session")
        if row["direction"] == "outbound" and row.get("ja4")
    )
    assert versions["TLSv1.3", "answered"] >= EACH
    assert len(watched.of("imds_request")) == 3 * REQUESTS
    assert len(watched.of("dns_answer")) == 2
