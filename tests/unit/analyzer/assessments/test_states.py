from dataclasses import replace

import pytest

from analyzer.assessments import (
    AGENT_TIMEOUT_US,
    GRACE_US,
    START_TIMEOUT_US,
    Facts,
    advance,
    create_run,
)
from analyzer.errors import AssessmentError
from analyzer.model import Run, RunState

S = 1_000_000


def created(duration_s: int = 60) -> Run:
    return create_run(name="a run", duration_s=duration_s, packages=["p"], now_us=0)


def collecting() -> Run:
    waiting = advance(created(), Facts(now_us=S, healthy=("i-2", "i-1")))
    return advance(waiting, Facts(now_us=3 * S, first_us={"i-1": 2 * S, "i-2": 2 * S + 5}))


def states(run: Run) -> list[str]:
    return [change.state for change in run.changes]


@pytest.mark.parametrize("duration_s", [4, 86_401])
def test_create_with_a_duration_out_of_bounds_is_refused(duration_s: int) -> None:
    with pytest.raises(AssessmentError, match="lasts 5 s to 86400 s"):
        created(duration_s)


def test_create_with_a_long_name_is_refused() -> None:
    with pytest.raises(AssessmentError, match="140 characters"):
        create_run(name="x" * 141, duration_s=60, packages=[], now_us=0)


def test_create_with_the_name_of_an_active_run_is_refused() -> None:
    with pytest.raises(AssessmentError, match="still CREATED"):
        create_run(name="a run", duration_s=60, packages=[], now_us=0, active=[created()])
    ended = created().entered(RunState.COMPLETED, 1)
    create_run(name="a run", duration_s=60, packages=[], now_us=0, active=[ended])


def test_run_passes_every_state_and_takes_its_interval_from_the_agents() -> None:
    run = collecting()
    assert run.agents == ("i-1", "i-2")
    assert (run.from_us, run.to_us) == (2 * S, 62 * S)
    run = advance(run, Facts(now_us=61 * S))
    assert run.state is RunState.COLLECTING_DATA
    run = advance(run, Facts(now_us=62 * S))
    assert run.state is RunState.STOP_DATA_COLLECTION_PENDING
    run = advance(run, Facts(now_us=63 * S, is_complete=True))
    assert states(run) == [
        "CREATED",
        "START_DATA_COLLECTION_PENDING",
        "START_DATA_COLLECTION_IN_PROGRESS",
        "COLLECTING_DATA",
        "STOP_DATA_COLLECTION_PENDING",
        "DATA_COLLECTED",
        "START_EVALUATING_RULES_PENDING",
        "EVALUATING_RULES",
    ]
    assert run.message == ""


def test_run_without_agents_waits_then_fails_and_says_what_to_do() -> None:
    run = created()
    assert advance(run, Facts(now_us=AGENT_TIMEOUT_US - 1)) is run
    failed = advance(run, Facts(now_us=AGENT_TIMEOUT_US))
    assert failed.state is RunState.FAILED
    assert "proctor-agent run" in failed.message


def test_run_does_not_wait_forever_for_its_slowest_agent() -> None:
    waiting = advance(created(), Facts(now_us=0, healthy=("i-1", "i-2")))
    facts = Facts(now_us=START_TIMEOUT_US - 1, first_us={"i-1": 5})
    assert advance(waiting, facts) is waiting
    began = advance(waiting, replace(facts, now_us=START_TIMEOUT_US))
    assert (began.state, began.from_us) == (RunState.COLLECTING_DATA, 5)


def test_run_whose_agents_all_stay_silent_collects_nothing_and_ends() -> None:
    waiting = advance(created(), Facts(now_us=0, healthy=("i-1",)))
    assert advance(waiting, Facts(now_us=START_TIMEOUT_US)) is waiting
    began = advance(waiting, Facts(now_us=AGENT_TIMEOUT_US))
    assert (began.state, began.from_us) == (RunState.COLLECTING_DATA, AGENT_TIMEOUT_US)


def test_stop_with_evaluation_ends_the_interval_now() -> None:
    run = replace(collecting(), stop="START_EVALUATION")
    run = advance(run, Facts(now_us=10 * S))
    assert (run.state, run.to_us) == (RunState.STOP_DATA_COLLECTION_PENDING, 10 * S)
    run = advance(run, Facts(now_us=11 * S, is_complete=True))
    assert run.state is RunState.EVALUATING_RULES


def test_stop_without_evaluation_cancels_at_once() -> None:
    run = replace(collecting(), stop="SKIP_EVALUATION")
    run = advance(run, Facts(now_us=10 * S))
    assert run.state is RunState.CANCELED
    assert advance(run, Facts(now_us=99 * S)) is run


def test_drain_ends_with_the_grace_and_says_that_hosts_are_missing() -> None:
    run = advance(collecting(), Facts(now_us=62 * S))
    late = Facts(now_us=62 * S + GRACE_US)
    assert advance(run, replace(late, now_us=late.now_us - 1)) is run
    assert advance(run, replace(late, grace_from_us=70 * S)) is run
    assert advance(run, replace(late, behind_us=S)) is run
    ended = advance(run, replace(late, silent=("i-2",)))
    assert ended.state is RunState.EVALUATING_RULES
    assert ended.message == "1 of 2 hosts sent no telemetry up to the end of the run: i-2"


def test_message_about_silent_hosts_names_a_few_of_many() -> None:
    run = replace(advance(collecting(), Facts(now_us=62 * S)), agents=tuple("abcdefghijkl"))
    ended = advance(run, Facts(now_us=62 * S + GRACE_US, silent=tuple("abcdefghijkl")))
    assert ended.message.endswith("i, j and 2 more")
