"""`proctor findings` on a store with two ended runs, from the list to the last acceptance."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner
from typer.testing import Result as Done

from analyzer.cli import app
from analyzer.model import RunState
from tests.ended_runs import TEMPLATE, fill

pytestmark = pytest.mark.allow_blocking  # imports inside commands, which own their process
RUNNER = CliRunner()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    runs = [
        ("0-aaaaaaaa", (), "i1aa", RunState.COMPLETED),
        ("0-bbbbbbbb", (), "i2bb", RunState.COMPLETED),
        ("0-cccccccc", (), "", RunState.CANCELED),
    ]
    return fill(tmp_path / "data", runs).path


def findings(data: Path, *arguments: object) -> Done:
    return RUNNER.invoke(app, ["findings", *map(str, arguments), "--data", str(data)])


def told(data: Path, *arguments: object) -> tuple[int, str, str]:
    done = findings(data, *arguments)
    return done.exit_code, done.stdout, done.stderr.replace("\n", " ")


def states(data: Path, run: str = "0-bb") -> dict[str, int]:
    done = findings(data, "list", "--run", run, "--status", "all", "-o", "json")
    found: dict[str, int] = json.loads(done.stdout)["states"]
    return found


def test_list_names_findings_of_a_run(data: Path) -> None:
    code, out, _ = told(data, "list", "--run", "0-aa")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == [
        "Finding",
        "Severity",
        "Status",
        "Rule",
        "Host",
        "What",
        "Process",
    ]
    assert lines[1].split()[1:5] == ["Medium", "open", "insecure-client-login", "db.test"]
    assert lines[-1] == "1 of 1 finding of run 0-aaaaaaaa: 1 Medium. In all 1 open."
    code, out, _ = told(data, "list", "--run", "0-aa", "--severity", "low,high")
    assert out == "0 of 1 finding of run 0-aaaaaaaa. In all 1 open.\n"


def test_one_finding_is_shown_by_any_of_its_names(data: Path) -> None:
    document = json.loads(findings(data, "list", "--run", "0-aa", "-o", "ndjson").stdout)
    assert document["arn"].startswith(f"{TEMPLATE}/run/0-aaaaaaaa/finding/0-")
    names = (document["arn"], document["arn"].rpartition("/")[2], "i1", "0123")
    for name in names:
        run = [] if name.startswith("arn:") else ["--run", "0-aa"]
        code, out, _ = told(data, "show", name, *run)
        assert code == 0
        assert "Issue     i1aa" in out
        assert f"Finding   {document['arn']}" in out
        assert "What to do: " in out
        assert "connection  outbound" in out
    assert json.loads(findings(data, "show", "i1", "--run", "0-aa", "-o", "json").stdout) == (
        document
    )


def test_export_holds_exactly_the_list(data: Path, tmp_path: Path) -> None:
    place = tmp_path / "findings.csv"
    assert told(data, "export", "--run", "0-bb", "--out", place) == (0, "", "")
    assert len(place.read_bytes().splitlines()) == 2
    code, out, _ = told(data, "export", "--run", "0-bb", "--status", "accepted", "-o", "ndjson")
    assert (code, out) == (0, "")


def test_accepted_finding_is_counted_and_can_be_taken_back(data: Path) -> None:
    asked = ("--owner", "Kim", "--reason", "jump host", "--for", "10d")
    code, made, err = told(data, "accept", "i2", "--run", "0-bb", *asked)
    assert code == 0
    assert "Accepted: issue i2bb." in err
    assert states(data) == {"open": 0, "accepted": 1, "resolved": 0}
    assert states(data, "0-aa") == {"open": 1, "accepted": 0, "resolved": 0}
    _, out, err = told(data, "list", "--run", "0-bb")
    assert out.endswith("In all 1 accepted.\n")
    assert f"1 suppression expires soon: {made.strip()} (issue i2bb, Kim on" in err
    _, out, _ = told(data, "show", "i2", "--run", "0-bb")
    assert "Status    accepted by Kim until" in out
    _, out, _ = told(data, "accepted")
    assert out.splitlines()[1].split()[:2] == [made.strip(), "active"]
    assert told(data, "reopen", made.strip())[0] == 0
    assert states(data)["open"] == 1
    assert "taken back" in told(data, "accepted")[1]
    code, _, err = told(data, "reopen", made.strip())
    assert code == 2
    assert "accepts nothing" in err


def test_wide_acceptance_outlives_a_reopened_finding_and_unused_ones_are_told(data: Path) -> None:
    asked = ("--owner", "Kim", "--reason", "r", "--until", "2099-01-01")
    assert "for 366 days at most" in told(data, "accept", "--rule", "insecure-*", *asked)[2]
    asked = (*asked[:-2], "--for", "100d")
    wide = told(data, "accept", "--rule", "insecure-*", "--group", "process_name=tel*", *asked)
    assert wide[0] == 0
    assert states(data) == states(data, "0-aa") == {"open": 0, "accepted": 1, "resolved": 0}
    err = told(data, "reopen", "i2", "--run", "0-bb")[2]
    assert f"Still accepted by {wide[1].strip()} (rule insecure-*, process_name=tel*)" in err
    unused = told(data, "accept", "--rule", "gone", "--host", "i-*", *asked)[1].strip()
    err = told(data, "list", "--run", "0-bb")[2]
    assert f"1 suppression matches no finding: {unused} (rule gone, host i-*, Kim)." in err


def test_resolved_finding_stays_so_until_it_is_reopened(data: Path) -> None:
    asked = ("resolve", "i2", "--run", "0-bb", "--owner", "Kim", "--note", "closed")
    assert told(data, *asked)[0] == 0
    assert states(data) == {"open": 0, "accepted": 0, "resolved": 1}
    assert "Status    resolved by Kim on" in told(data, "show", "i2", "--run", "0-bb")[1]
    assert "Issue i2bb is open." in told(data, "reopen", "i2", "--run", "0-bb")[2]
    assert states(data)["open"] == 1


def test_wrong_usage_says_what_is_wrong(data: Path) -> None:
    asked = ("--owner", "Kim", "--reason", "r", "--for", "1d")
    assert "has no findings" in told(data, "list")[2]
    assert "no finding of this run is named 'x'" in told(data, "show", "x", "--run", "0-aa")[2]
    both = told(data, "accept", "i2", "--rule", "a", "--run", "0-bb", *asked)
    assert both[0] == 2
    assert "name a finding, or a rule" in both[2]
    assert "name an issue or a rule" in told(data, "accept", *asked)[2]
    assert told(data, "accepted")[1] == "No risk is accepted.\n"
