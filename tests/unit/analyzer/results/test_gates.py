import pytest

from analyzer.results.gates import Gates, exit_code, rulings
from rules.format import Severity
from tests.judging import package, row, rule
from tests.recordings import judged, lines_of

HEADER = {"telemetry": "capture", "format": 1, "agent_id": "i-1", "kinds": ["connection"]}


def judge(gates: Gates) -> tuple[list[str], int]:
    failed = rulings(gates, judged(lines_of()))  # High, Medium, Informational; 66.6 % on i-web
    return [ruling.text for ruling in failed], exit_code(failed, interrupted=False)


def test_gates_are_opt_in() -> None:
    assert judge(Gates()) == ([], 0)


@pytest.mark.parametrize(
    ("severity", "text"),
    [
        ("High", "Failed: 1 finding at or above High (--fail-on high)."),
        ("Medium", "Failed: 2 findings at or above Medium (--fail-on medium)."),
        ("Low", "Failed: 2 findings at or above Low (--fail-on low)."),
        (
            "Informational",
            "Failed: 3 findings at or above Informational (--fail-on informational).",
        ),
    ],
)
def test_findings_from_a_severity_upwards_fail(severity: Severity, text: str) -> None:
    assert judge(Gates(fail_on=severity)) == ([text], 1)


def test_nothing_grave_enough_passes() -> None:
    result = judged([row(1)], rules=[package(rule())])
    assert rulings(Gates(fail_on="High"), result) == []
    assert len(rulings(Gates(fail_on="Medium"), result)) == 1


def test_every_host_must_have_been_watched() -> None:
    assert judge(Gates(min_coverage=0.5)) == ([], 0)
    assert judge(Gates(min_coverage=0.8)) == (
        ["Inconclusive: coverage of i-web is 66.6 %, under 80 % (--min-coverage)."],
        3,
    )


def test_coverage_of_exactly_the_minimum_passes() -> None:
    result = judged([HEADER | {"from_us": 0, "to_us": 80}, row(100)], rules=[package(rule())])
    assert rulings(Gates(min_coverage=0.8), result) == []
    assert len(rulings(Gates(min_coverage=0.81), result)) == 1


def test_nothing_watched_is_inconclusive() -> None:
    assert [item.exit_code for item in rulings(Gates(min_coverage=0.0), judged([]))] == [3]


def test_finding_outweighs_coverage_and_ctrl_c_outweighs_both() -> None:
    failed = rulings(Gates(fail_on="Low", min_coverage=0.9), judged(lines_of()))
    assert [ruling.exit_code for ruling in failed] == [1, 3]
    assert exit_code(failed, interrupted=False) == 1
    assert exit_code(failed, interrupted=True) == 130
    assert exit_code([], interrupted=True) == 130
