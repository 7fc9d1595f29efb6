import pytest

from analyzer.words import (
    counted,
    listed,
    minutes,
    percent,
    printable,
    process_text,
    severity_style,
    span,
    time_text,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe", "größe"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("line\nbreak\u202e", "line\\nbreak\\u202e"),
        ("", ""),
    ],
)
def test_names_cannot_steer_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_numbers_agree_with_their_nouns() -> None:
    assert counted(1, "rule") == "1 rule"
    assert counted(1_200, "rule") == "1,200 rules"
    assert counted(2, "process", "processes") == "2 processes"


@pytest.mark.parametrize(
    ("share", "shown"),
    [(1, "100 %"), (0, "0 %"), (0.998, "99.8 %"), (0.99999, "99.9 %"), (0.6, "60 %")],
)
def test_percent_never_looks_larger_than_it_is(share: float, shown: str) -> None:
    assert percent(share) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(38, "0:38"), (124.4, "2:04"), (3723, "1:02:03"), (-1, "0:00")]
)
def test_minutes(seconds: float, shown: str) -> None:
    assert minutes(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (1, "1 second"),
        (90, "90 seconds"),
        (120, "2 minutes"),
        (3600, "1 hour"),
        (7200, "2 hours"),
        (3601, "1:00:01"),
    ],
)
def test_span(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


def test_long_lists_are_cut() -> None:
    assert listed(["a", "b", "c", "d"]) == "a, b, c, d"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_every_severity_has_a_style_of_its_own() -> None:
    styles = {severity_style(name) for name in ("High", "Medium", "Low", "Informational")}
    assert len(styles) == 4
    assert severity_style("other") == ""


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        ([{"process_name": "app", "pid": 7}], "app [7]"),
        ([{"process_name": "app", "pid": 7}, {"process_name": "app", "pid": 8}], "app [7] +1"),
        ([{"process_name": "app"}], "app"),
        ([{"pid": 7}], "unknown [7]"),
        ([{}], "unknown"),
        ([{"telemetry": "connection"}], "unknown"),
        ([{"telemetry": "setting"}, {"telemetry": "setting"}], "-"),
        ([{"telemetry": "setting"}, {"telemetry": "connection"}], "unknown"),
        ([{"process_name": "a\x07", "pid": 7}, {}], "a\\x07 [7]"),
    ],
)
def test_processes_are_named(rows: list[dict[str, object]], shown: str) -> None:
    assert process_text(rows) == shown


def test_time_is_utc_to_the_millisecond() -> None:
    assert time_text(1_763_955_367_123_999) == "2025-11-24 03:36:07.123"
    assert time_text(2**63 - 1) == "9223372036854775807 us"
