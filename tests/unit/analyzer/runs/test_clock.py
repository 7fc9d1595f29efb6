import asyncio
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from analyzer.assessments import create_run
from analyzer.engine.workers import Workers
from analyzer.errors import JudgedError, StoreError
from analyzer.ingest.accept import Acceptor
from analyzer.ingest.receive import Stored
from analyzer.ingest.segments import SegmentRecord
from analyzer.model import Agent, Run, RunState
from analyzer.replay.log import replay_log
from analyzer.replay.sources import stored_folder
from analyzer.results.document import Result, from_json, to_json
from analyzer.runs import clock as run_clock
from analyzer.runs.clock import RunClock
from analyzer.runs.live import LiveRun
from analyzer.store import MemoryStore
from rules.loader import load_packages
from rules.outcome import MAX_GROUPS
from rules.telemetry import Batch, BatchBuilder, Coverage, Event, Header, ManualClock, Process
from rules.telemetry.wire import decode_any, encode

pytestmark = pytest.mark.allow_blocking  # the log of a run is read in a thread, rules at the start
S = 1_000_000
START = 1_000 * S
PACKAGES = load_packages()
KINDS = tuple(sorted({kind for package in PACKAGES for kind in package.telemetry}))
TELNET = {
    "direction": "outbound",
    "protocol": "tcp",
    "remote_address": "10.0.0.9",
    "remote_port": 23,
    "state": "opened",
}


def agent(agent_id: str = "i-1") -> Agent:
    return Agent(agent_id, "boot", f"host-{agent_id}", "0.1.0", {}, True, False, START)  # noqa: FBT003


def batch(
    sequence: int, from_s: int, to_s: int, *events: Event, agent_id: str = "i-1", run: str
) -> Batch:
    from_us, to_us = START + from_s * S, START + to_s * S
    builder = BatchBuilder()
    for event in events:
        builder.add(event)
    coverage = (Coverage("sock_diag", KINDS, from_us, to_us, "on"),)
    header = Header(agent_id, "boot", "main", sequence, from_us, to_us, (run,), KINDS, (), coverage)
    return builder.build(header)


def telnet(at_s: float) -> Event:
    return Event(
        "connection", START + round(at_s * S), Process(7, 1, "telnet", "/bin/telnet"), TELNET
    )


class Bench:
    """A run clock with one run, a memory store and a clock moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(START)
        self.store = MemoryStore()
        self.run_id = ""
        self.agents = {"i-1": agent()}
        self.restart()

    def restart(self) -> None:
        self.acceptor = Acceptor()
        self.run_clock = RunClock(
            store=self.store,
            folder=self.folder,
            packages=PACKAGES,
            acceptor=self.acceptor,
            clock=self.clock,
        )

    async def start(self, **changes: object) -> None:
        run = create_run(name="t", duration_s=10, packages=(), now_us=self.clock.now_us())
        run = replace(run, **changes)  # type: ignore[arg-type]
        self.run_id = run.id
        await self.store.add_run(run)
        await self.tick()

    async def tick(self, *, at_s: float | None = None) -> Run:
        if at_s is not None:
            self.clock.time_us = START + round(at_s * S)
        await self.run_clock.tick(self.agents)
        run = await self.store.run(self.run_id)
        assert run is not None
        return run

    async def give(self, item: Batch) -> None:
        header = item.header
        record = SegmentRecord(
            agent_id=header.agent_id,
            boot_id=header.boot_id,
            stream=header.stream,
            sequence=header.sequence,
            from_us=header.from_us,
            received_us=self.clock.now_us(),
            payload=encode(item),
        )
        log = self.run_clock.log_of(self.run_id)
        segment = await asyncio.to_thread(log.append_many, [record])
        self.run_clock.on_stored(
            Stored(self.run_id, item, segment, sha256(record.payload).digest())
        )

    async def result(self) -> Result:
        document = await self.store.result(self.run_id)
        assert document is not None
        return from_json(document)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "runs")


async def collect(
    bench: Bench, *, meanwhile: Callable[[], None] = lambda: None, **changes: object
) -> Run:
    """Run an assessment of ten seconds with one Telnet connection."""
    await bench.start(**changes)
    await bench.give(batch(1, 1, 3, run=bench.run_id))
    await bench.tick(at_s=3)
    meanwhile()
    await bench.give(batch(2, 3, 8, telnet(4.5), run=bench.run_id))
    await bench.tick(at_s=8)
    meanwhile()
    await bench.give(batch(3, 8, 11, run=bench.run_id))
    return await bench.tick(at_s=11)


async def test_run_starts_on_every_healthy_agent_and_tells_them_what_to_collect(
    bench: Bench,
) -> None:
    bench.agents["i-2"] = replace(agent("i-2"), is_online=False)
    await bench.start()
    wanted = bench.run_clock.wanted()
    assert list(wanted) == ["i-1"]
    assert wanted["i-1"][0]["run"] == bench.run_id
    assert wanted["i-1"][0]["kinds"] == tuple(sorted(KINDS))
    assert bench.run_clock.windows()[bench.run_id].agents == {"i-1"}


async def test_run_ends_with_findings_and_a_ledger(bench: Bench) -> None:
    run = await collect(bench)
    assert (run.state, run.message) == (RunState.COMPLETED, "")
    assert run.interval == (START + 1 * S, START + 11 * S)
    result = await bench.result()
    assert [finding.rule for finding in result.findings] == ["insecure-client-login"]
    assert {outcome.outcome for outcome in result.outcomes} == {"findings", "clean"}
    assert result.hosts[0].hostname == "host-i-1"
    found, *clean = await bench.store.findings(run.id)
    assert (found.rule, found.package) == ("insecure-client-login", "runtime-behavior")
    assert found.title.startswith("Instance i-1: telnet ")
    assert {row.package for row in clean} == {item.id for item in PACKAGES} - {found.package}
    assert {row.title for row in clean} == {"No potential security issues found"}
    assert bench.run_clock.wanted() == {}
    assert bench.run_clock.windows() == {}


async def test_progress_shows_provisional_findings(bench: Bench) -> None:
    await bench.start()
    await bench.give(batch(1, 1, 3, telnet(2), run=bench.run_id))
    await bench.tick(at_s=3)
    run = await bench.tick(at_s=5)
    assert run.state is RunState.COLLECTING_DATA
    assert (run.progress.events, run.progress.findings) == (1, {"Medium": 1})


async def test_progress_shows_the_first_of_a_quiet_time_at_once(bench: Bench) -> None:
    """A tick that found nothing new does not put off what comes right behind it."""
    await bench.start()
    await bench.give(batch(1, 1, 3, run=bench.run_id))
    await bench.tick(at_s=3)
    await bench.tick(at_s=4.9)
    await bench.give(batch(2, 3, 5, telnet(4.8), run=bench.run_id))
    run = await bench.tick(at_s=5)
    assert run.progress.findings == {"Medium": 1}


async def test_restart_at_any_point_gives_the_same_result(bench: Bench, tmp_path: Path) -> None:
    await collect(bench)
    undisturbed = await bench.result()
    other = Bench(tmp_path / "again")
    run = await collect(other, meanwhile=other.restart, id=bench.run_id)
    assert run.state is RunState.COMPLETED
    assert await other.result() == undisturbed


async def test_restart_goes_on_from_a_snapshot(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the snapshot holds is not decoded again, and the result is the same."""
    await collect(bench)
    undisturbed = await bench.result()
    monkeypatch.setattr(run_clock, "SNAPSHOT_INTERVAL_US", 0)
    other = Bench(tmp_path / "again")
    decoded: list[bytes] = []

    def decode(payload: bytes) -> Batch:
        decoded.append(payload)
        return decode_any(payload)

    def restart() -> None:
        monkeypatch.setattr(run_clock, "decode_any", decode)
        other.restart()

    snapshot = other.folder / bench.run_id / "snapshot"
    await other.start(id=bench.run_id)
    await other.give(batch(1, 1, 3, telnet(2), run=bench.run_id))
    await other.tick(at_s=3)
    await other.tick(at_s=4)
    assert snapshot.stat().st_mode & 0o777 == 0o600
    restart()
    await other.give(batch(2, 3, 11, telnet(4.5), run=bench.run_id))
    await other.tick(at_s=5)
    assert len(decoded) == 1
    run = await other.tick(at_s=11)
    assert run.state is RunState.COMPLETED
    assert not snapshot.exists()
    (finding,) = (await other.result()).findings
    assert finding.count == 2
    assert {each.outcome for each in (await other.result()).outcomes} == {
        each.outcome for each in undisturbed.outcomes
    }


async def test_damaged_snapshot_costs_time_and_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run_clock, "SNAPSHOT_INTERVAL_US", 0)
    await bench.start()
    await bench.give(batch(1, 1, 3, telnet(2), run=bench.run_id))
    await bench.tick(at_s=3)
    await bench.tick(at_s=4)
    snapshot = bench.folder / bench.run_id / "snapshot"
    snapshot.write_bytes(snapshot.read_bytes()[:-5])
    bench.restart()
    await bench.give(batch(2, 3, 11, telnet(4.5), run=bench.run_id))
    await bench.tick(at_s=5)
    assert "run.snapshot_unusable" in caplog.messages
    run = await bench.tick(at_s=11)
    assert run.state is RunState.COMPLETED
    (finding,) = (await bench.result()).findings
    assert finding.count == 2


async def test_recall_knows_durable_batches_of_an_earlier_process(bench: Bench) -> None:
    await collect(bench)
    bench.restart()
    await bench.run_clock.resume()
    acks = bench.acceptor.acknowledgement("i-1")["acks"]
    assert acks == [{"boot_id": "boot", "stream": "main", "high": 3, "ranges": []}]


async def test_run_takes_telemetry_again_before_the_first_message_can_come(bench: Bench) -> None:
    await bench.start()
    await bench.give(batch(1, 1, 3, run=bench.run_id))
    await bench.tick(at_s=3)
    bench.restart()
    await bench.run_clock.resume()
    assert list(bench.run_clock.windows()) == [bench.run_id]
    acks = bench.acceptor.acknowledgement("i-1")["acks"]
    assert acks == [{"boot_id": "boot", "stream": "main", "high": 1, "ranges": []}]


async def test_run_whose_log_cannot_be_read_ends_in_error_alone(bench: Bench) -> None:
    await bench.start()
    await bench.give(batch(1, 1, 3, run=bench.run_id))
    for segment in bench.folder.rglob("*.seg"):
        segment.write_bytes(b"something else entirely")
    bench.restart()
    await bench.run_clock.resume()
    run = await bench.store.run(bench.run_id)
    assert run is not None
    assert run.state is RunState.ERROR
    assert "cannot read the telemetry log" in run.message


async def test_silent_host_is_not_evaluated_and_the_run_says_so(bench: Bench) -> None:
    bench.agents["i-2"] = agent("i-2")
    await bench.start()
    await bench.give(batch(1, 1, 11, run=bench.run_id))
    await bench.tick(at_s=11)
    run = await bench.tick(at_s=75)
    assert run.state is RunState.COLLECTING_DATA or run.state.is_final
    run = await bench.tick(at_s=90)
    assert run.state is RunState.COMPLETED_WITH_ERRORS
    result = await bench.result()
    silent = {o.outcome for o in result.outcomes if o.agent_id == "i-2"}
    assert silent == {"not_evaluated"}


@pytest.mark.parametrize(
    ("offset_s", "end_s", "state"),
    [
        (-100, 105, RunState.COMPLETED),
        (0, 90, RunState.COMPLETED_WITH_ERRORS),
        (600, 90, RunState.COMPLETED_WITH_ERRORS),
        (-36_000, 3_675, RunState.COMPLETED_WITH_ERRORS),
    ],
    ids=["behind", "right", "ahead", "far behind"],
)
async def test_host_whose_clock_is_behind_is_waited_for(
    bench: Bench, offset_s: int, end_s: int, state: RunState
) -> None:
    bench.agents["i-1"] = replace(agent(), clock_offset_us=offset_s * S)
    await bench.start()
    await bench.give(batch(1, 1, 8, run=bench.run_id))
    await bench.tick(at_s=8)
    for at_s in (11, 65):
        assert not (await bench.tick(at_s=at_s)).state.is_final
    if offset_s < 0:
        assert not (await bench.tick(at_s=end_s - 5)).state.is_final
    if state is RunState.COMPLETED:
        await bench.give(batch(2, 8, 11, telnet(10), run=bench.run_id))
    run = await bench.tick(at_s=end_s)

    assert run.state is state
    findings = {finding.rule for finding in (await bench.result()).findings}
    assert ("insecure-client-login" in findings) == (state is RunState.COMPLETED)


async def test_stop_evaluates_what_is_there(bench: Bench) -> None:
    await bench.start()
    await bench.give(batch(1, 1, 4, telnet(2), run=bench.run_id))
    await bench.tick(at_s=4)
    assert await bench.store.request_stop(bench.run_id, "START_EVALUATION")
    await bench.tick(at_s=5)
    await bench.give(batch(2, 4, 5, run=bench.run_id))
    run = await bench.tick(at_s=6)
    assert run.state is RunState.COMPLETED
    assert run.interval[1] == START + 5 * S
    assert [finding.rule for finding in (await bench.result()).findings] == [
        "insecure-client-login"
    ]


async def test_stop_without_evaluation_cancels(bench: Bench) -> None:
    await bench.start()
    assert await bench.store.request_stop(bench.run_id, "SKIP_EVALUATION")
    run = await bench.tick(at_s=5)
    assert run.state is RunState.CANCELED
    assert await bench.store.result(run.id) is None


async def test_unknown_package_fails_the_run_and_names_those_there_are(bench: Bench) -> None:
    await bench.start(packages=("no-such-package",))
    run = await bench.store.run(bench.run_id)
    assert run is not None
    assert run.state is RunState.FAILED
    assert "no-such-package" in run.message
    assert "runtime-behavior" in run.message


async def test_two_runs_do_not_share_an_agent(bench: Bench) -> None:
    await bench.start()
    first = bench.run_id
    await bench.start(name="second")
    second = await bench.store.run(bench.run_id)
    assert second is not None
    assert second.state is RunState.CREATED
    assert [entry["run"] for entry in bench.run_clock.wanted()["i-1"]] == [first]


async def test_replay_of_an_ended_run_gives_its_result(bench: Bench) -> None:
    run = await collect(bench, meanwhile=bench.restart)
    await bench.give(batch(4, 11, 12, telnet(10.5), run=bench.run_id))  # the run has ended
    stored = stored_folder(bench.folder / run.id)
    assert stored.rules is not None
    assert stored.log.hosts == {"i-1": "host-i-1"}
    again = replay_log(stored.log, stored.rules, workers=Workers(), max_groups=MAX_GROUPS)
    assert to_json(again) == await bench.store.result(run.id)


async def test_run_whose_verdict_cannot_be_kept_is_judged_again(bench: Bench) -> None:
    await bench.start()
    await bench.give(batch(1, 1, 11, run=bench.run_id))
    await bench.tick(at_s=3)
    rules = bench.folder / bench.run_id / "rules.new"
    rules.write_text("in the way")
    with pytest.raises(JudgedError, match="cannot be written"):
        await bench.tick(at_s=11)
    rules.unlink()
    run = await bench.tick(at_s=12)
    assert run.state is RunState.COMPLETED


async def test_verdict_that_the_store_refuses_is_made_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept beside the log is always of the verdict that was stored."""

    async def refuse(*_: object, **__: object) -> None:
        raise StoreError("database is locked")

    await bench.start()
    await bench.give(batch(1, 1, 11, run=bench.run_id))
    await bench.tick(at_s=3)
    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "finish_run", refuse)
        with pytest.raises(StoreError):
            await bench.tick(at_s=11)
    await bench.give(batch(2, 11, 12, telnet(10.5), run=bench.run_id))  # too late by now
    run = await bench.tick(at_s=12)
    assert run.state is RunState.COMPLETED
    stored = stored_folder(bench.folder / run.id)
    assert stored.rules is not None
    again = replay_log(stored.log, stored.rules, workers=Workers(), max_groups=MAX_GROUPS)
    assert to_json(again) == await bench.store.result(run.id)


async def test_run_that_cannot_be_written_holds_up_no_other(bench: Bench) -> None:
    await bench.start()
    await bench.give(batch(1, 1, 11, run=bench.run_id))
    await bench.tick(at_s=3)
    first = bench.run_id
    bench.agents["i-2"] = agent("i-2")
    await bench.start(id="0-Second00", name="second")
    await bench.give(batch(1, 4, 15, agent_id="i-2", run=bench.run_id))
    await bench.tick(at_s=5)
    (bench.folder / bench.run_id / "rules.new").write_text("in the way")
    with pytest.raises(JudgedError, match="cannot be written"):
        await bench.tick(at_s=15)
    judged = await bench.store.run(first)
    assert judged is not None
    assert judged.state is RunState.COMPLETED


async def test_run_whose_telemetry_breaks_the_engine_ends_in_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(_: LiveRun) -> None:
        raise ArithmeticError("too many")

    async def refuse(*_: object, **__: object) -> None:
        raise StoreError("database is locked")

    await bench.start()
    await bench.give(batch(1, 1, 3, telnet(2), run=bench.run_id))
    await bench.tick(at_s=3)
    with monkeypatch.context() as patch:
        patch.setattr(LiveRun, "seal", break_off)
        patch.setattr(bench.store, "save_run", refuse)
        with pytest.raises(StoreError):
            await bench.tick(at_s=5)
    assert bench.run_clock.windows() == {}
    run = await bench.tick(at_s=6)
    assert (run.state, run.message) == (
        RunState.ERROR,
        "evaluation failed: ArithmeticError: too many",
    )
    assert [change.state for change in run.changes].count(RunState.ERROR) == 1


async def test_run_that_cannot_be_taken_up_ends_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise one run would keep the server from starting, again and again."""

    def break_off(*_: object) -> None:
        raise ArithmeticError("too many")

    await bench.start()
    await bench.give(batch(1, 1, 3, telnet(2), run=bench.run_id))
    await bench.tick(at_s=3)
    bench.restart()
    monkeypatch.setattr(LiveRun, "add", break_off)
    await bench.run_clock.resume()
    run = await bench.store.run(bench.run_id)
    assert run is not None
    assert run.state is RunState.ERROR
    assert run.message == "the run cannot be taken up: ArithmeticError: too many"
    assert "run.recovery_failed" in caplog.messages


async def test_file_that_cannot_be_removed_changes_no_verdict(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(run_clock, "remove_snapshot", refuse)
    run = await collect(bench)
    assert run.state is RunState.COMPLETED
    assert "run.files_left" in caplog.messages
