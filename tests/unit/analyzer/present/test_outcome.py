import pytest

from analyzer.present import show_outcome
from analyzer.present.outcome import completed_line, count_line, looked_at
from analyzer.results.document import Result
from rules.loader import Package
from tests.judging import ABSENCE, package, row, rule
from tests.recordings import judged, lines_of, packages
from tests.terminals import Screen, Tty, plain

RULES = [package(rule())]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def shown(
    result: Result, judged_by: list[Package], *, evidence: int = 0, screen: Screen | None = None
) -> list[str]:
    screen = screen or Screen()
    show_outcome(screen.open(), result, judged_by, evidence=evidence)
    assert screen.messages == []
    return screen.lines


def squeezed(lines: list[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines]


def test_table_ranks_findings_and_says_what_was_not_evaluated() -> None:
    lines = squeezed(shown(judged(lines_of()), packages()))
    assert lines[:6] == [
        "Severity Rule Host Finding Process Evidence",
        (
            "High metadata-burst i-db app sent 3 requests between 2025-11-24 03:35:41 UTC and "
            "2025-11-24 03:35:42 UTC app [901] 3 requests"
        ),
        (
            "Medium telnet-client i-web telnet connected to 10.0.9.8 port 23 telnet [5120] "
            "1 connection"
        ),
        (
            "Informational unused-port i-db redis-server listened on TCP port 6379 and nobody "
            "connected redis-server [780] 0 connections"
        ),
        "",
        "3 findings: 1 High, 1 Medium, 1 Informational.",
    ]
    assert lines[6] == "Not evaluated: 2 of 6 checks (rule and host)."
    assert lines[7].startswith("metadata-burst on 1 host: imds_request was not collected")
    assert lines[8].startswith("unused-port on 1 host: listener was watched without loss for only")


def test_one_host_needs_no_column() -> None:
    lines = squeezed(shown(judged([row(1)], rules=RULES), RULES))
    assert lines[:2] == [
        "Severity Rule Finding Process Evidence",
        "Medium telnet-used telnet connected to 10.0.9.8 port 23 telnet 1 connection",
    ]
    assert lines[-1] == "1 finding: 1 Medium."


def test_narrow_terminals_get_two_lines_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = shown(judged(lines_of()), packages())
    assert lines[:5] == [
        "High           metadata-burst  i-db  app [901]  3 requests",
        "  app sent 3 requests between 2025-11-24 03:35:41 UTC and 2025-11-24 03:35:42",
        "  UTC",
        "Medium         telnet-client  i-web  telnet [5120]  1 connection",
        "  telnet connected to 10.0.9.8 port 23",
    ]
    assert max(map(len, lines)) <= 80


def test_evidence_stands_under_each_finding() -> None:
    lines = shown(judged(lines_of()), packages(), evidence=2)
    assert lines[:6] == [
        "High           metadata-burst  i-db  app [901]  3 requests",
        "  app sent 3 requests between 2025-11-24 03:35:41 UTC and 2025-11-24 03:35:42 UTC",
        (
            "    First window above 2025-11-24 03:34:42.000 to 2025-11-24 03:35:42.000: 3 rows, "
            "1 above the limit of 2; 100 % watched"
        ),
        (
            "    2025-11-24 03:35:41.000  imds_request  169.254.169.254  imds_version=1  "
            "purpose=credentials  by app [901]"
        ),
        "    … 1 more …",
        (
            "    2025-11-24 03:35:42.000  imds_request  169.254.169.254  imds_version=1  "
            "purpose=credentials  by app [901]"
        ),
    ]


def test_many_connections_are_counted_as_events() -> None:
    rows = [row(ts_us) for ts_us in range(30)]
    lines = squeezed(shown(judged(rows, rules=RULES), RULES))
    assert lines[1].endswith("telnet 30 connection events")


def test_closing_finding_says_how_many_more() -> None:
    rows = [row(port, remote_port=port) for port in range(1, 5)]
    lines = squeezed(shown(judged(rows, rules=RULES, max_groups=2), RULES))
    assert lines[3] == "Medium telnet-used 2 more findings of this rule on this host"
    assert lines[-1] == "3 findings: 3 Medium."


def test_rule_that_is_gone_leaves_its_title() -> None:
    lines = squeezed(shown(judged([row(1)], rules=RULES), []))
    assert lines[1] == "Medium telnet-used Telnet was used telnet 1 connection"


def test_hostile_names_are_shown_harmlessly() -> None:
    result = judged([row(1, process_name="\x1b[2Jevil\n")], rules=RULES)
    lines = shown(result, RULES)
    assert "\\x1b[2Jevil\\n connected to" in lines[1]


def test_empty_result_says_what_was_looked_at() -> None:
    lines = shown(judged([row(1, remote_port=22, direction="inbound")], rules=RULES), RULES)
    assert lines == ["No findings. 1 host, 1 of 1 rule evaluated, 1 event, coverage 100 %."]


def test_empty_result_is_amber_under_ninety_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    header = {"telemetry": "capture", "format": 1, "agent_id": "i-1", "kinds": ["connection"]}
    for to_us, amber in ((90, False), (89, True)):
        screen = Screen(out=Tty())
        result = judged(
            [header | {"from_us": 0, "to_us": to_us}, row(100, direction="inbound")], rules=RULES
        )
        show_outcome(screen.open(), result, RULES)
        assert ("\x1b[33m" in screen.out.getvalue()) is amber
        assert plain(screen.out.getvalue()).startswith("No findings. 1 host, 1 of 1 rule")


def test_nothing_at_all_was_looked_at() -> None:
    assert shown(judged([], rules=RULES), RULES) == [
        "No findings. 0 hosts, 0 of 0 checks (rule and host) evaluated, 0 events, coverage 0 %."
    ]


def test_reasons_are_grouped_by_rule() -> None:
    judged_by = [package(*(rule(f"r{number}", ABSENCE, summary="s") for number in range(6)))]
    header = {"telemetry": "capture", "format": 1, "from_us": 0, "to_us": 9, "kinds": []}
    one = judged([header | {"agent_id": "i-1"}], rules=judged_by)
    assert shown(one, judged_by)[1:] == [
        "Not evaluated: 6 of 6 rules.",
        (
            "  r0, r1, r2 and 3 more: listener was not collected on this host; "
            "connection was not collected on this host"
        ),
    ]
    two = judged([header | {"agent_id": "i-1"}, header | {"agent_id": "i-2"}], rules=judged_by)
    assert shown(two, judged_by)[2].startswith("  r0, r1, r2 and 3 more on 2 hosts: listener")


def test_only_the_commonest_reasons_are_told_apart() -> None:
    rows = [
        {
            "telemetry": "capture",
            "format": 1,
            "agent_id": f"i-{number}",
            "from_us": 0,
            "to_us": number,
            "kinds": ["connection"],
        }
        for number in range(1, 30)
    ]
    lines = shown(judged(rows, rules=RULES), RULES)
    assert len(lines) == 2 + 10 + 1
    assert lines[-1] == "  … and 4 more reasons; see -o json"


def test_sentences() -> None:
    result = judged(lines_of())
    assert count_line(result) == "3 findings: 1 High, 1 Medium, 1 Informational."
    assert looked_at(result) == (
        "2 hosts, 4 of 6 checks (rule and host) evaluated, 11 events, coverage 83.3 %"
    )
    one = judged([row(1)], rules=RULES)
    assert completed_line(one, took_s=124, processes=38, stopped=False) == (
        "✓ Run complete in 2:04. 1 event from 38 processes. 1 of 1 rule evaluated, coverage 100 %."
    )
    assert completed_line(one, took_s=5, processes=1, stopped=True).startswith(
        "Stopped early after 0:05. 1 event from 1 process. "
    )
