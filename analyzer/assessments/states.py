"""Assessment runs: when one may start, what moves it on, and when it may close.

In: a run and the facts of the moment. Out: the run in its next state. Pure: the server reads the
clock, talks to agents and keeps the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analyzer.errors import AssessmentError
from analyzer.model import Run, RunState, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MIN_DURATION_S = 5  # shorter than the service's API allows (180 s), for trying things out
MAX_DURATION_S = 86_400
MAX_NAME = 140
_NAMED_HOSTS = 10  # hosts that a message names; the rest is counted
START_TIMEOUT_US = 10_000_000  # how long a run waits for its slowest agent to begin
AGENT_TIMEOUT_US = 60_000_000  # how long a run waits for any agent at all
GRACE_US = 60_000_000  # how long after its end a run waits for telemetry on its way


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server knows about a run at one moment."""

    now_us: int
    healthy: tuple[str, ...] = ()
    """Agents of the run's target that are connected and in no other run."""
    room: int | None = None
    """How many hosts it may have besides those of other active runs; None = any number."""
    first_us: dict[str, int] | None = None
    """Agent → the first moment of the run that a durable batch of it covers."""
    is_complete: bool = False
    """Whether nothing is waited for any more."""
    silent: tuple[str, ...] = ()
    """Agents whose telemetry has not reached the end of the run."""
    grace_from_us: int = 0
    """Grace is not counted before this moment: the analyzer itself was away until then."""
    behind_us: int = 0
    """How far the clock of a host that is waited for is behind ours; the slowest one's."""


def create_run(
    *, name: str, duration_s: int, packages: Iterable[str], now_us: int, active: Iterable[Run] = ()
) -> Run:
    """Return a new run in state CREATED.

    Raises:
        AssessmentError: The duration or name is out of bounds, or a run of that name is active.
    """
    if not MIN_DURATION_S <= duration_s <= MAX_DURATION_S:
        raise AssessmentError(
            f"a run lasts {MIN_DURATION_S} s to {MAX_DURATION_S} s (24 h), not {duration_s} s"
        )
    if len(name) > MAX_NAME:
        raise AssessmentError(f"a run's name has at most {MAX_NAME} characters, not {len(name)}")
    for run in active:
        if not run.state.is_final and run.name == name:
            raise AssessmentError(f"run {run.id} with the name {name!r} is still {run.state}")
    run = Run(
        id=new_id(),
        name=name,
        duration_s=duration_s,
        packages=tuple(packages),
        created_us=now_us,
    )
    return run.entered(RunState.CREATED, now_us)


def advance(run: Run, facts: Facts) -> Run:
    """Return the run after every step that the facts allow; the same run if there is none."""
    while True:
        after = _step(run, facts)
        if after is run:
            return run
        run = after


def _step(run: Run, facts: Facts) -> Run:
    if run.state.is_final:
        return run
    if run.stop == "SKIP_EVALUATION":
        return run.entered(RunState.CANCELED, facts.now_us)
    step = _STEPS.get(run.state)
    return run if step is None else step(run, facts)


def _choose_agents(run: Run, facts: Facts) -> Run:
    if run.agents:
        return run.entered(RunState.START_DATA_COLLECTION_PENDING, facts.now_us)
    if run.stop:
        stopped = replace(run, message="it was stopped before any agent was there")
        return stopped.entered(RunState.START_DATA_COLLECTION_PENDING, facts.now_us)
    if facts.room is not None and len(facts.healthy) > facts.room:
        message = (
            f"{len(facts.healthy)} hosts are more than the {facts.room} that may still be in "
            "active runs; use a target with fewer, or raise the limit"
        )
        return replace(run, message=message).entered(RunState.FAILED, facts.now_us)
    if facts.healthy:
        chosen = replace(run, agents=tuple(sorted(facts.healthy)))
        return chosen.entered(RunState.START_DATA_COLLECTION_PENDING, facts.now_us)
    if facts.now_us - run.created_us < AGENT_TIMEOUT_US:
        return run
    message = (
        f"no agent was connected and idle within {AGENT_TIMEOUT_US // 1_000_000} s; start "
        "'proctor-agent run' on a host, then start the run again"
    )
    return replace(run, message=message).entered(RunState.FAILED, facts.now_us)


def _begin(run: Run, facts: Facts) -> Run:
    """Let the run begin with the first moment that an agent has covered."""
    first_us = facts.first_us or {}
    all_began = all(agent in first_us for agent in run.agents)
    waited_us = facts.now_us - run.changes[-1].at_us
    if not all_began and waited_us < START_TIMEOUT_US:
        return run
    if not first_us and waited_us < AGENT_TIMEOUT_US and run.stop == "":
        return run
    from_us = min(first_us.values(), default=facts.now_us)
    timed = replace(run, from_us=from_us, to_us=from_us + run.duration_s * 1_000_000)
    return timed.entered(RunState.COLLECTING_DATA, facts.now_us)


def _collect(run: Run, facts: Facts) -> Run:
    from_us, to_us = run.interval
    if run.stop == "START_EVALUATION" and facts.now_us < to_us:
        run = replace(run, to_us=max(from_us, facts.now_us))
    elif facts.now_us < to_us:
        return run
    return run.entered(RunState.STOP_DATA_COLLECTION_PENDING, facts.now_us)


def _drain(run: Run, facts: Facts) -> Run:
    waits_from_us = max(run.interval[1] + facts.behind_us, facts.grace_from_us)
    is_over = facts.now_us >= waits_from_us + GRACE_US
    if not facts.is_complete and not is_over:
        return run
    if facts.silent:
        names = ", ".join(facts.silent[:_NAMED_HOSTS])
        more = len(facts.silent) - _NAMED_HOSTS
        message = (
            f"{len(facts.silent)} of {len(run.agents)} hosts sent no telemetry up to the end of "
            f"the run: {names}" + (f" and {more} more" if more > 0 else "")
        )
        run = replace(run, message=message)
    return run.entered(RunState.DATA_COLLECTED, facts.now_us)


def _ask_agents(run: Run, facts: Facts) -> Run:
    return run.entered(RunState.START_DATA_COLLECTION_IN_PROGRESS, facts.now_us)


def _await_evaluation(run: Run, facts: Facts) -> Run:
    return run.entered(RunState.START_EVALUATING_RULES_PENDING, facts.now_us)


def _evaluate(run: Run, facts: Facts) -> Run:
    return run.entered(RunState.EVALUATING_RULES, facts.now_us)


_STEPS: dict[RunState, Callable[[Run, Facts], Run]] = {
    RunState.CREATED: _choose_agents,
    RunState.START_DATA_COLLECTION_PENDING: _ask_agents,
    RunState.START_DATA_COLLECTION_IN_PROGRESS: _begin,
    RunState.COLLECTING_DATA: _collect,
    RunState.STOP_DATA_COLLECTION_PENDING: _drain,
    RunState.DATA_COLLECTED: _await_evaluation,
    RunState.START_EVALUATING_RULES_PENDING: _evaluate,
}
