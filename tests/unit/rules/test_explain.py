import pytest

from rules.explain import explain, selector_words
from rules.selector import parse_selector
from tests.rule_documents import (
    ABSENCE,
    EVENT,
    PERIODIC,
    SEQUENCE,
    THRESHOLD,
    Plain,
    changed,
    rule,
)


def fires(detection: Plain) -> str:
    text = explain(rule(detection), "site")
    return " ".join(text.split("Fires", 1)[1].split("Needs", 1)[0].split())


def test_selector_in_words() -> None:
    selector = parse_selector(
        {
            "telemetry": "tls_session",
            "where": {"cert_self_signed": True, "uid": {"ge": 1000, "ne": 65534}},
            "any_of": [{"tls_version": {"in": ["SSLv3", "TLSv1.0"]}}, {"alpn": {"is_null": True}}],
            "none_of": [{"remote_scope": "loopback", "pid": {"is_null": False}}],
        }
    )

    assert selector_words(selector) == [
        "cert_self_signed is true",
        "uid is at least 1000",
        "uid is there and is not 65534",
        "and one of:",
        "  - tls_version is one of SSLv3, TLSv1.0",
        "  - alpn is null",
        "but not:",
        "  - remote_scope is loopback and pid is not null",
    ]


def test_selector_without_where_begins_with_its_groups() -> None:
    assert selector_words(parse_selector({"telemetry": "listener"})) == ["(any)"]
    selector = parse_selector({"telemetry": "aws_call", "any_of": [{"encrypted": False}]})
    assert selector_words(selector) == ["one of:", "  - encrypted is false"]
    selector = parse_selector({"telemetry": "aws_call", "none_of": [{"uid": 0}]})
    assert selector_words(selector) == ["not:", "  - uid is 0"]


def test_whole_explanation() -> None:
    read = rule(EVENT, limitations=["What it does not see."])

    assert explain(read, "site") == (
        "some-rule: Something is so\n"
        "Low · package site · version 1 · stable\n"
        "\n"
        "Fires once per host and value of process_name,\n"
        "  when the run has at least one connection row where\n"
        "    remote_port is 23\n"
        "\n"
        "Needs\n"
        "  connection, watched for half of the run to call a host clean;\n"
        "  findings stand whatever was watched.\n"
        "  The sensor pcap_clients sees only part of connection and does not count.\n"
        "\n"
        "Two runs compare its findings by\n"
        "  host, process_name\n"
        "\n"
        "Cannot see\n"
        "  - What it does not see."
    )


@pytest.mark.parametrize(
    ("detection", "words"),
    [
        (changed(EVENT, group_by=[]), "once per host, when the run has at least one connection"),
        (THRESHOLD, "when some window of 10s holds more than 2 connection rows where"),
        (THRESHOLD, "is (t - 10s, t]: a row exactly 10s earlier is outside"),
        (
            changed(THRESHOLD, count=None, distinct={"column": "remote_address", "gt": 5}),
            "holds more than 5 values of remote_address in connection rows where",
        ),
        (
            changed(THRESHOLD, count=None, sum={"column": "bytes_sent", "gt": 5}),
            "holds connection rows whose bytes_sent adds up to more than 5, where",
        ),
        (
            ABSENCE,
            (
                "when the run has a listener row where (any) and, in the whole run, no "
                "connection row of the same host and the same local_port where direction is inbound"
            ),
        ),
        (
            SEQUENCE,
            (
                "when a row of imds_request where (any) is followed by one of connection, of the "
                "same host and pid, later, but by no more than 10s, where (any)"
            ),
        ),
        (
            PERIODIC,
            (
                "when connection rows come at 6 or more distinct times, with a median gap from "
                "10s to 1m, and 9 of 10 gaps within 10 % of the median, where (any)"
            ),
        ),
    ],
)
def test_each_detection_in_words(detection: Plain, words: str) -> None:
    assert words in fires(detection)


def test_absence_needs_its_coverage_of_both_kinds() -> None:
    assert (
        "listener and connection, watched without loss for 95 % of the run (min_coverage);"
        in explain(rule(ABSENCE), "site")
    )


def test_sensor_that_sees_only_part_is_named() -> None:
    tls: Plain = {"kind": "event", "select": {"telemetry": "tls_session"}}
    inbound = changed(tls, select={**tls["select"], "where": {"direction": "inbound"}})
    note = "The sensor probe sees only part of tls_session and does not count."

    assert note in explain(rule(tls), "site")
    assert note not in explain(rule(inbound), "site")


def test_missing_limitations_are_said() -> None:
    assert explain(rule(), "site").endswith("Cannot see\n  - Nothing is stated.")
