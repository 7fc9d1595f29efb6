from typing import Any

import pytest

from analyzer.present.explain import show_explanation
from analyzer.replay.explained import explained
from analyzer.replay.replayed import HostTelemetry
from rules.reference import group_rows
from rules.telemetry.batch import Coverage, Row
from rules.telemetry.ledger import Ledger
from tests.judging import ABSENCE, EVENT, row, rule
from tests.terminals import Screen

S = 1_000_000
BASE_US = 1_763_955_300 * S
BURST = EVENT | {"kind": "threshold", "within": "10s", "count": {"gt": 2}}
PAIR = {
    "kind": "sequence",
    "first": {"telemetry": "listener"},
    "then": {"telemetry": "connection"},
    "match_on": ["local_port"],
    "within": "10s",
    "group_by": ["process_name"],
}
PACE = EVENT | {
    "kind": "periodic",
    "at_least": 6,
    "jitter": 0.1,
    "every": {"min": "10s", "max": "1m"},
}


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def at(seconds: float, telemetry: str = "connection", **values: object) -> Row:
    return row(BASE_US + round(seconds * S), telemetry, **values)


def whole() -> Ledger:
    ledger = Ledger(BASE_US, BASE_US + 60 * S)
    ledger.add_host("i-1")
    return ledger


def shown(detection: dict[str, Any], *rows: Row, ledger: Ledger | None = None) -> list[str]:
    by_kind = group_rows(rows).get("i-1", {})
    host = HostTelemetry("0-abc", "i-1", "web-1", by_kind, ledger or whole())
    screen = Screen()
    show_explanation(screen.open(), explained(rule(detection=detection), "site", host))
    return screen.lines


def part(lines: list[str], title: str) -> list[str]:
    """Return the lines below a title."""
    below = lines[lines.index(title) + 1 :]
    return below[: below.index("")] if "" in below else below


def test_silent_rule_from_its_condition_to_what_was_watched() -> None:
    assert shown(EVENT, at(1, direction="inbound")) == [
        "telnet-used: Telnet was used",
        "Medium · package site · version 3",
        "Host web-1 (i-1), 0-abc, 2025-11-24 03:35:00.000 to 2025-11-24 03:36:00.000",
        "",
        "Fires once per host and value of process_name, remote_address, remote_port,",
        "  when the run has at least one connection row where",
        "    direction is outbound",
        "",
        "Outcome: clean, no findings; 100 % watched",
        "",
        "Rows",
        "  1 connection row",
        "    0 after: direction is outbound; there were 'inbound' (1)",
        "",
        "Closest",
        "  no row passed every condition",
        "",
        "Watched",
        "  connection: the whole run",
    ]


def test_findings_have_what_decided_and_their_witnesses() -> None:
    lines = shown(BURST, *(at(second) for second in (1, 2, 3, 4)), at(1, process_name=None))

    first = lines.index("  telnet connected to 10.0.9.8 port 23")
    assert lines[first + 1 : first + 8] == [
        "    4 rows of process_name 'telnet', remote_address '10.0.9.8', remote_port 23",
        (
            "    First window above 2025-11-24 03:34:53.000 to 2025-11-24 03:35:03.000: 3 rows, "
            "1 above the limit of 2; 100 % watched"
        ),
        "    3 witnesses:",
        "      2025-11-24 03:35:01.000  connection  outbound  10.0.9.8:23  by telnet",
        "      2025-11-24 03:35:02.000  connection  outbound  10.0.9.8:23  by telnet",
        "      2025-11-24 03:35:03.000  connection  outbound  10.0.9.8:23  by telnet",
        "",
    ]
    assert "Closest" not in lines
    assert "Outcome: findings; 100 % watched" in lines


def test_many_witnesses_and_findings_are_cut() -> None:
    many = BURST | {"count": {"gt": 29}, "group_by": []}
    lines = shown(many, *(at(second / 10) for second in range(40)))
    first = lines.index("    30 witnesses:")
    assert lines[first + 11] == "      … 10 more …"
    assert lines[first + 21].startswith("      2025-11-24 03:35:02.900")

    lines = shown(EVENT, *(at(port, remote_port=port) for port in range(1, 15)))
    assert "  and 4 more findings" in lines


def test_rule_that_was_not_evaluated_says_why() -> None:
    ledger = whole()
    ledger.add_coverage(
        "i-1", Coverage("perf", ("connection",), BASE_US, BASE_US + 5 * S, "degraded", "polled")
    )
    ledger.add_lost("i-1", "late", 1_200)

    lines = shown(EVENT, ledger=ledger)

    outcome = lines.index("Outcome: not evaluated; 8.3 % watched")
    assert lines[outcome + 1].startswith("  connection was watched for only 8.3 % of the run")
    assert part(lines, "Watched") == [
        "  connection: all but 55s, 2025-11-24 03:35:05.000 to 2025-11-24 03:36:00.000",
        "    perf degraded (polled)",
        "  events lost on the host: 1,200 (late)",
    ]


def test_many_gaps_are_counted() -> None:
    ledger = whole()
    for second in range(0, 60, 8):
        on = (BASE_US + second * S, BASE_US + (second + 7) * S)
        ledger.add_coverage("i-1", Coverage("perf", ("connection", "listener"), *on, "on"))

    (line, _) = part(shown(ABSENCE, ledger=ledger), "Watched without loss")

    assert line.startswith("  listener: all but 7s, 2025-11-24 03:35:07.000 to")
    assert line.endswith(", and 2 more")


@pytest.mark.parametrize(
    ("detection", "rows", "closest"),
    [
        (
            BURST,
            [at(1), at(2), at(2, process_name="x\x1b")],
            [
                (
                    "  of 2 groups process_name 'telnet', remote_address '10.0.9.8', "
                    "remote_port 23: 2 rows, at the limit of 2, "
                    "from 2025-11-24 03:34:52.000 to 2025-11-24 03:35:02.000"
                )
            ],
        ),
        (
            BURST | {"group_by": ["uid"]},
            [at(1)],
            [
                (
                    "  uid unknown: 1 row, 1 below the limit of 2, "
                    "from 2025-11-24 03:34:51.000 to 2025-11-24 03:35:01.000"
                )
            ],
        ),
        (
            BURST | {"group_by": []},
            [at(1)],
            [
                (
                    "  the host: 1 row, 1 below the limit of 2, "
                    "from 2025-11-24 03:34:51.000 to 2025-11-24 03:35:01.000"
                )
            ],
        ),
        (
            PAIR,
            [
                at(1, "listener", local_port=80),
                at(20, "listener", local_port=80),
                at(13.5, local_port=80),
                at(14),
            ],
            [
                "  2 first rows, 2 then rows, 1 of these with the local_port of a first row",
                "  1 row without local_port, which proves nothing",
                "  the closest pair is 12.5s apart, 2.5s more than the longest time of 10s",
                "  in the wrong order, the closest are 6.5s apart",
            ],
        ),
        (
            PAIR,
            [at(1, "listener", local_port=80), at(1, local_port=80)],
            [
                "  1 first row, 1 then row, 1 of these with the local_port of a first row",
                "  a first and a then row came at one moment; then must be later",
            ],
        ),
        (
            PAIR,
            [],
            ["  0 first rows, 0 then rows, 0 of these with the local_port of a first row"],
        ),
        (
            ABSENCE,
            [
                at(1, "listener", local_port=80),
                at(1, "listener"),
                at(2, local_port=80, direction="inbound"),
            ],
            [
                "  of 2 rows, 1 had the local_port of an unless row",
                "  1 row without local_port, which proves nothing",
            ],
        ),
        (
            PACE | {"group_by": []},
            [at(second) for second in (0, 10, 20, 40)],
            [
                "  the host: 4 distinct times, 6 are needed",
                "  median gap 10s, wanted is 10s to 1m",
                "  2 of 3 gaps within 10 % of it, 9 of 10 are needed",
            ],
        ),
        (PACE | {"group_by": []}, [at(1)], ["  the host: 1 distinct time, 6 are needed"]),
    ],
)
def test_closest_says_by_how_much_it_missed(
    detection: dict[str, Any], rows: list[Row], closest: list[str]
) -> None:
    assert part(shown(detection, *rows), "Closest") == closest


def test_row_without_a_match_would_be_a_finding_of_a_watched_run() -> None:
    ledger = whole()
    ledger.add_coverage("i-1", Coverage("perf", ("listener",), BASE_US, BASE_US + 5 * S, "on"))

    assert part(shown(ABSENCE, at(1, "listener", local_port=80), ledger=ledger), "Closest") == [
        "  of 1 row, 0 had the local_port of an unless row",
        (
            "  1 row without a match, which would be findings if 95 % of the run had been watched "
            "without loss"
        ),
    ]
