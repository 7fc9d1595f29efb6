import sys
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.errors import AnalyzerError
from analyzer.model import Run
from analyzer.recording import read_recorded
from analyzer.recording.judgement import SealedRecording
from analyzer.replay import second_opinion as module
from analyzer.replay.export import SealedLog
from analyzer.replay.second_opinion import Difference, Numbers, Opinions, Place, second_opinion
from analyzer.sql import compile_rule
from rules.format import Rule
from rules.telemetry import Event
from tests.judging import ABSENCE, EVENT, rule
from tests.recordings import TWO_HOSTS, packages
from tests.run_logs import write_log
from tests.telemetry_batches import CURL, batch, connection
from tests.telemetry_batches import SECOND_US as S

RUN = Run("0-abc", "t", 100, (), 0, from_us=0, to_us=100 * S, agents=("i-1", "i-2"))
BURST = {**EVENT, "kind": "threshold", "within": "10s", "count": {"gt": 1}, "group_by": []}
LISTENER = Event("listener", 0, CURL, {"local_port": 80})
RULES = [rule("used", EVENT), rule("unused", ABSENCE), rule("burst", BURST)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the log of a run whose second host was watched for half of the time."""
    return write_log(
        tmp_path / "log",
        [
            (100 * S, batch(1, (0, 100 * S), [connection(1 * S), connection(9 * S), LISTENER])),
            (100 * S, batch(1, (0, 50 * S), [LISTENER], agent_id="i-2")),
        ],
    )


def test_engine_and_sql_agree(log: Path) -> None:
    assert second_opinion(SealedLog(log, RUN), RULES) == Opinions(5, 1, 3, ())


def test_they_agree_on_a_recording() -> None:
    sealed = SealedRecording(read_recorded(TWO_HOSTS))
    rules = [rule for package in packages() for rule in package.rules]

    assert second_opinion(sealed, rules) == Opinions(5, 1, 3, ())


def test_what_differs_is_shown_from_both_sides(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def another(asked: Rule, folder: str | None) -> str:
        changed = rule("burst", {**BURST, "within": "1s"}) if asked.id == "burst" else asked
        return compile_rule(changed, folder).replace("count(*) AS count", "count(*) + 1 AS count")

    monkeypatch.setattr(module, "compile_rule", another)

    opinions = second_opinion(SealedLog(log, RUN), RULES[::2])

    assert (opinions.pairs, opinions.groups) == (4, 0)
    used, burst = opinions.differences
    numbers = Numbers(2, 1 * S, 9 * S, 1 * S, 9 * S, None)
    assert used == Difference(
        RULES[0], Place("i-1", ("curl", "10.0.9.8", 23)), numbers, replace(numbers, count=3)
    )
    assert burst.place == Place("i-1", ())
    assert burst.by_engine == Numbers(2, 1 * S, 9 * S, -1 * S, 9 * S, 2)
    assert burst.by_sql is None


def test_duckdb_is_asked_for_where_it_is_missing(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)

    with pytest.raises(AnalyzerError, match="pip install 'proctor"):
        second_opinion(SealedLog(log, RUN), RULES)


def test_full_disk_is_said(log: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))

    with pytest.raises(AnalyzerError, match="cannot write temporary files: No such file"):
        second_opinion(SealedLog(log, RUN), RULES)
