"""Whatever came when, whoever reads a run's log again sees what the run judged."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from analyzer.engine.workers import Workers
from analyzer.replay import taken
from analyzer.replay.export import SealedLog
from analyzer.replay.judged import keep
from analyzer.replay.log import replay_log
from analyzer.replay.replayed import from_log
from analyzer.replay.taken import log_of
from analyzer.results.document import from_json, to_json
from analyzer.results.findings import make_findings, ranked
from rules.loader import load_packages
from rules.outcome import MAX_GROUPS
from rules.reference import group_rows, judge
from rules.telemetry.batch import Batch, Loss
from rules.telemetry.kinds import KINDS
from tests.live_runs import DrivenRun
from tests.telemetry_batches import batch, connection, watching

S = 1_000_000
FROM_US, TO_US = 1_000 * S, 1_300 * S
AGENTS = ("i-1", "i-2", "i-3")
PACKAGES = load_packages(Path(__file__).parents[1] / "fixtures" / "recordings" / "rules")


class Span(NamedTuple):
    """What one batch covers and holds."""

    length_s: int
    rows: list[tuple[int, int]]
    """Seconds after the start of the interval, and port."""
    state: str
    dropped: bool


SPANS = st.builds(
    Span,
    st.integers(0, 60),
    st.lists(st.tuples(st.integers(-30, 62), st.sampled_from([22, 23, 6379])), max_size=4),
    st.sampled_from(["on", "on", "degraded"]),
    st.sampled_from([False, False, False, True]),
)


def sent_by(agent_id: str, boot_id: str, start_s: int, spans: list[Span]) -> list[Batch]:
    """Return the batches of one boot: their intervals follow each other."""
    batches = []
    losses: list[Loss] = []
    start_us = FROM_US + start_s * S
    for sequence, span in enumerate(spans, start=1):
        covered = (start_us, start_us + span.length_s * S)
        start_us = covered[1]
        if span.dropped:
            losses.append(Loss("spool_full", 5, *covered))
            continue
        rows = [connection(covered[0] + after * S, remote_port=port) for after, port in span.rows]
        batches.append(
            batch(
                sequence,
                covered,
                rows,
                agent_id=agent_id,
                boot_id=boot_id,
                losses=tuple(losses),
                coverage=(watching(*covered, state=span.state),),
            )
        )
        losses.clear()
    return batches


@st.composite
def telemetry(draw: st.DrawFn) -> list[Batch]:
    """Return what the hosts send; the first restarts in between, the third may be silent."""
    boots = st.lists(SPANS, min_size=1, max_size=6)
    sent = sent_by("i-1", "b0", draw(st.integers(-20, 20)), draw(boots))
    sent += sent_by("i-1", "b1", draw(st.integers(100, 200)), draw(st.just([]) | boots))
    sent += sent_by("i-2", "b0", draw(st.integers(-20, 20)), draw(boots))
    return sent + sent_by("i-3", "b0", 0, draw(st.just([]) | boots))


STEPS = st.lists(
    st.sampled_from(
        ["arrive", "arrive", "arrive", "again", "seal", "long", "long", "restart", "save"]
    ),
    min_size=12,
    max_size=40,
)


def drive(run: DrivenRun, data: st.DataObject) -> None:
    """Let batches come in any order, some twice, some beyond the grace; restart now and then."""
    waiting = data.draw(st.permutations(data.draw(telemetry())))
    given_already: list[Batch] = []
    for step in data.draw(STEPS):
        if step == "arrive" and waiting:
            given_already.append(waiting.pop())
            run.give(given_already[-1])
        elif step == "again" and given_already:
            run.give(data.draw(st.sampled_from(given_already)))
        elif step == "seal":
            run.live.seal()
        elif step == "long":  # longer than anything is waited for
            run.clock.time_us += 70 * S
            run.live.seal()
        elif step == "restart":
            run.restart()
        elif step == "save":
            run.save()
    if data.draw(st.booleans()):
        run.stop(run.clock.now_us())
    for item in waiting[: data.draw(st.integers(0, len(waiting)))]:
        run.give(item)


@settings(max_examples=settings().max_examples // 4)  # each drives a run over a disk
@given(st.data())
def test_replay_of_a_log_is_the_result_of_the_run(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = DrivenRun(
            folder, PACKAGES, interval=(FROM_US, TO_US), agents=AGENTS, roll_bytes=2_048
        )
        drive(run, data)
        done = run.finish()
        event(f"late batches: {'some' if done.judged.late else 'none'}")
        run.give(batch(90, (FROM_US, TO_US), [connection(FROM_US + 5)]))  # too late for the verdict
        log = log_of(folder, done.judged)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(taken, "SEAL_BATCHES", data.draw(st.sampled_from([1, 2, 256])))
            again = replay_log(log, PACKAGES, workers=Workers(), max_groups=MAX_GROUPS)
        assert to_json(again) == done.document


@settings(max_examples=settings().max_examples // 4)
@given(st.data())
def test_whoever_reads_a_judged_log_sees_what_was_judged(data: st.DataObject) -> None:
    """Explanations and exports judge the same as the run, which batches ever came too late."""
    with tempfile.TemporaryDirectory() as name:
        run = DrivenRun(Path(name), PACKAGES, interval=(FROM_US, TO_US), agents=AGENTS)
        drive(run, data)
        done = run.finish()
        keep(run.folder, done.judged, PACKAGES)
        run.give(batch(90, (FROM_US, TO_US), [connection(FROM_US + 5)]))
        segments, expected = run.folder / "segments", from_json(done.document)
        sealed = SealedLog(segments, done.run)
        exported = group_rows(row for piece in sealed for row in piece.rows())
        for agent_id in AGENTS:
            told = from_log(segments, done.run, hostnames={}, host=agent_id, kinds=KINDS)
            for rows, ledger in (
                (exported[agent_id], sealed.ledger),
                (told.rows_by_kind, told.ledger),
            ):
                found = [
                    finding
                    for package in PACKAGES
                    for rule in package.rules
                    for finding in make_findings(
                        judge(rule, agent_id, rows, ledger),
                        rule,
                        package=package.id,
                        run_id=expected.run.id,
                        ledger=ledger,
                    )
                ]
                own = [item for item in expected.findings if item.agent_id == agent_id]
                assert ranked(found) == own


@settings(max_examples=settings().max_examples // 4)
@given(st.data())
def test_restart_from_a_snapshot_shows_in_no_byte(data: st.DataObject) -> None:
    """Even where batches came too late, which the log alone does not tell."""
    sent = data.draw(st.permutations(data.draw(telemetry())))
    steps = [data.draw(st.sampled_from(["seal", "long", "restart", ""])) for _ in sent]
    documents = set()
    for is_disturbed in (False, True):
        with tempfile.TemporaryDirectory() as name:
            run = DrivenRun(
                Path(name), PACKAGES, interval=(FROM_US, TO_US), agents=AGENTS, roll_bytes=2_048
            )
            for item, step in zip(sent, steps, strict=True):
                run.give(item)
                if step == "long":
                    run.clock.time_us += 70 * S
                if step in ("seal", "long", "restart"):
                    run.live.seal()
                if step == "restart" and is_disturbed and run.live.snapshot() is not None:
                    run.save()
                    run.restart()
            documents.add(run.finish().document)
    assert len(documents) == 1


@settings(max_examples=settings().max_examples // 4)
@given(st.data())
def test_order_of_arrival_shows_in_no_byte(data: st.DataObject) -> None:
    sent = data.draw(telemetry())
    orders = [sent, data.draw(st.permutations(sent))]
    documents = set()
    for batches in orders:
        with tempfile.TemporaryDirectory() as name:
            run = DrivenRun(Path(name), PACKAGES, interval=(FROM_US, TO_US), agents=AGENTS)
            for item in batches:
                run.give(item)
            documents.add(run.finish().document)
    assert len(documents) == 1
