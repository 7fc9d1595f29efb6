from itertools import count

import pytest

from analyzer.engine import ReferenceEngine
from analyzer.telemetry.columns import row_columns
from analyzer.telemetry.dictionary import Dictionary
from analyzer.telemetry.slices import Slice
from rules.outcome import Outcome
from rules.reference import judge
from rules.telemetry.batch import Row
from rules.telemetry.clock import ManualClock
from rules.telemetry.ledger import Ledger
from tests.judging import ABSENCE, row, rule

AGENTS = ["i-1", "i-2"]


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger(0, 100)
    for agent_id in AGENTS:
        ledger.add_host(agent_id)
    return ledger


def piece(*rows: Row, agent_id: str = "i-1") -> Slice:
    return Slice(agent_id, 0, 100, row_columns(rows, Dictionary()))


def counts(outcomes: list[Outcome]) -> dict[tuple[str, str], list[int]]:
    return {
        (outcome.rule_id, outcome.agent_id): [group.count for group in outcome.groups]
        for outcome in outcomes
    }


def test_every_rule_is_judged_on_every_host(ledger: Ledger) -> None:
    engine = ReferenceEngine([rule("b"), rule("a", ABSENCE, summary="nobody came")])
    engine.feed(piece(row(1), row(2)))
    outcomes = engine.outcomes(ledger, ["i-2", "i-1"])
    assert [(outcome.rule_id, outcome.agent_id, outcome.outcome) for outcome in outcomes] == [
        ("a", "i-1", "clean"),
        ("a", "i-2", "clean"),
        ("b", "i-1", "findings"),
        ("b", "i-2", "clean"),
    ]


def test_outcomes_equal_the_reference_over_slices(ledger: Ledger) -> None:
    rules = [rule("a", ABSENCE, summary="nobody came"), rule("b")]
    engine = ReferenceEngine(rules)
    rows = [
        row(1, "listener", process_name="sshd", local_port=22),
        row(2, direction="inbound", local_port=22),
        row(3, "listener", process_name="redis", local_port=6379),
        row(4),
        row(5, "tls_session", server_name="example.com"),
    ]
    for start in range(0, len(rows), 2):
        engine.feed(piece(*rows[start : start + 2]))
    by_kind = {
        "connection": [rows[1], rows[3]],
        "listener": [rows[0], rows[2]],
        "tls_session": [rows[4]],
    }
    assert engine.outcomes(ledger, ["i-1"]) == [
        judge(item, "i-1", by_kind, ledger) for item in rules
    ]


def test_rows_that_no_rule_selects_are_not_kept(ledger: Ledger) -> None:
    engine = ReferenceEngine([rule()])
    engine.feed(piece(row(1, direction="inbound"), row(2, "listener"), row(3)))
    assert engine._rows == {"i-1": {"connection": [row(3)]}}
    assert counts(engine.outcomes(ledger, ["i-1"])) == {("telnet-used", "i-1"): [1]}


def test_cap_of_groups_is_passed_on(ledger: Ledger) -> None:
    engine = ReferenceEngine([rule()])
    engine.feed(piece(*(row(port, remote_port=port) for port in range(1, 6))))
    (capped,) = engine.outcomes(ledger, ["i-1"], max_groups=2)
    (whole,) = engine.outcomes(ledger, ["i-1"], max_groups=None)
    assert [group.count for group in capped.groups] == [1, 1, 3]
    assert len(whole.groups) == 5


def test_provisional_outcomes_show_what_has_rows(ledger: Ledger) -> None:
    engine = ReferenceEngine([rule("a", ABSENCE, summary="nobody came"), rule("b")])
    assert engine.provisional(ledger, AGENTS) == []
    engine.feed(piece(row(1)))
    engine.feed(piece(row(1), row(2), agent_id="i-2"))
    assert counts(engine.provisional(ledger, AGENTS)) == {("b", "i-1"): [1], ("b", "i-2"): [2]}
    assert counts(engine.provisional(ledger, ["i-2"])) == {("b", "i-2"): [2]}


def test_provisional_outcomes_cost_no_more_than_their_share(ledger: Ledger) -> None:
    clock = ManualClock()
    spent_s = count(0.0, 0.2)  # each judgement costs that much, and 0.25 s are saved up
    engine = ReferenceEngine(
        [rule()], clock=clock, provisional_share=0.1, effort=lambda: next(spent_s)
    )
    agents = [f"i-{number}" for number in range(4)]
    for agent_id in agents:
        engine.feed(piece(row(1), agent_id=agent_id))
    assert len(engine.provisional(ledger, agents)) == 2
    assert len(engine.provisional(ledger, agents)) == 2
    clock.advance(10)
    assert len(engine.provisional(ledger, agents)) == 4


def test_time_that_passes_while_others_work_costs_nothing(ledger: Ledger) -> None:
    """As on a busy machine: judging takes long and needs little."""
    clock = ManualClock()

    def effort() -> float:
        clock.advance(100)
        return 0.0

    engine = ReferenceEngine([rule()], clock=clock, provisional_share=0.0, effort=effort)
    agents = [f"i-{number}" for number in range(4)]
    for agent_id in agents:
        engine.feed(piece(row(1), agent_id=agent_id))
    assert len(engine.provisional(ledger, agents)) == 4


def test_provisional_outcomes_judge_only_what_is_new(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []

    def spy(item: object, agent_id: str, *args: object, **options: object) -> Outcome:
        judged.append(agent_id)
        return judge(item, agent_id, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("analyzer.engine.reference.judge", spy)
    engine = ReferenceEngine([rule()], provisional_share=1)
    engine.feed(piece(row(1)))
    engine.provisional(ledger, AGENTS)
    engine.provisional(ledger, AGENTS)
    engine.feed(piece(row(2), agent_id="i-2"))
    engine.provisional(ledger, AGENTS)
    assert judged == ["i-1", "i-2"]
