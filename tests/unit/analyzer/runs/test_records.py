"""Runs of templates, from start to end: hosts, telemetry, findings, exclusions, messages."""

import asyncio
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from analyzer.assessments import Assessments
from analyzer.ingest.accept import Acceptor
from analyzer.ingest.receive import Stored
from analyzer.ingest.segments import SegmentRecord
from analyzer.model import (
    CLEAN_TITLE,
    Agent,
    EventKind,
    HealthCode,
    Interface,
    Run,
    RunState,
    Tag,
    Template,
)
from analyzer.results.exclusions import (
    ABSENT,
    FAILED,
    NO_INSTANCES,
    NOT_EVALUATED,
    SILENT,
    UNHEALTHY,
)
from analyzer.runs import clock
from analyzer.runs.clock import RunClock
from analyzer.store import MemoryStore, event_of
from rules.telemetry import Batch, BatchBuilder, Coverage, Event, Header, ManualClock, Process
from rules.telemetry.wire import encode
from tests.desks import ARNS, PACKAGES, START_US, S, make_agent, make_desk

pytestmark = pytest.mark.allow_blocking  # the log of a run is read in a thread

KINDS = tuple(sorted({kind for package in PACKAGES for kind in package.telemetry}))
TOPIC = "arn:aws:sns:eu-west-1:111122223333:topic"
TELNET = {
    "direction": "outbound",
    "protocol": "tcp",
    "remote_address": "10.0.0.9",
    "remote_port": 23,
    "state": "opened",
}


class Site:
    """A desk and a run clock over one store, with agents that the test speaks for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(START_US)
        self.store = MemoryStore()
        self.desk: Assessments = make_desk(self.store, clock=self.clock)
        self.agents: dict[str, Agent] = {}
        self.restart()

    def restart(self) -> None:
        """Begin anew with what store and log have, as after a kill."""
        self.run_clock = RunClock(
            store=self.store,
            folder=self.folder,
            packages=PACKAGES,
            acceptor=Acceptor(),
            clock=self.clock,
            arns=ARNS,
        )

    async def hear(self, *agents: Agent) -> None:
        for agent in agents:
            self.agents[agent.agent_id] = agent
            await self.store.put_agent(agent)

    async def template(self) -> Template:
        group = await self.desk.create_resource_group([Tag("env", "prod")])
        target = await self.desk.create_target("prod", resource_group_arn=group.arn)
        template = await self.desk.create_template(
            target.arn,
            name="weekly",
            duration_s=180,
            packages=["runtime-behavior", "aws-endpoints"],
            user_attributes=[Tag("team", "blue")],
        )
        for event in EventKind:
            if event is not EventKind.NOTIFICATIONS_ENABLED:
                await self.desk.subscribe(template.arn, event, TOPIC)
        return template

    async def tick(self, run: Run, *, at_s: float | None = None) -> Run:
        if at_s is not None:
            self.clock.time_us = START_US + round(at_s * S)
            heard = [replace(a, last_seen_us=self.clock.now_us()) for a in self.agents.values()]
            await self.hear(*heard)
        await self.run_clock.tick(self.agents)
        return await self.desk.run(run.arn)

    async def give(self, run: Run, agent_id: str, sequence: int, *, until_s: int) -> None:
        item = _batch(run, agent_id, sequence, until_s)
        header = item.header
        payload = encode(item)
        record = SegmentRecord(
            agent_id=agent_id,
            boot_id=header.boot_id,
            stream=header.stream,
            sequence=sequence,
            received_us=self.clock.now_us(),
            payload=payload,
        )
        log = self.run_clock.log_of(run.id)
        segment = await asyncio.to_thread(log.append_many, [record])
        self.run_clock.on_stored(Stored(run.id, item, segment, sha256(payload).digest()))

    async def told(self, run: Run) -> list[str]:
        """Return what the topic is told of a run: kinds, and the states that changed."""
        events = map(event_of, await self.desk.notifications(run.arn))
        return [event.state or event.kind for event in events]


def _batch(run: Run, agent_id: str, sequence: int, until_s: int) -> Batch:
    builder = BatchBuilder()
    process = Process(7, 1, "telnet", "/bin/telnet")
    if agent_id == "i-1":
        builder.add(Event("connection", START_US + 2 * S, process, TELNET))
    from_us, to_us = START_US, START_US + until_s * S
    coverage = (Coverage("sock_diag", KINDS, from_us, to_us, "on"),)
    header = Header(
        agent_id, "boot", "main", sequence, from_us, to_us, (run.id,), KINDS, (), coverage
    )
    return builder.build(header)


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "runs")
    await made.hear(make_agent("i-1", env="prod"), make_agent("i-2", env="prod"))
    return made


async def assess(site: Site, run: Run, *, restarts: bool = False) -> Run:
    """Let a run of two hosts go its whole way; of the second one nothing comes after the start."""
    await site.tick(run)
    await site.give(run, "i-1", 1, until_s=181)
    await site.give(run, "i-2", 1, until_s=3)
    for at_s in (3, 60, 181, 200, 250, 260):
        if restarts:
            site.restart()
            await site.run_clock.resume()
        run = await site.tick(run, at_s=at_s)
    return run


async def test_run_goes_through_its_states_and_tells_of_each_once(site: Site) -> None:
    template = await site.template()
    await site.hear(replace(make_agent("i-3", env="prod"), is_online=False))
    run = await assess(site, await site.desk.start_run(template.arn))
    assert run.state is RunState.COMPLETED_WITH_ERRORS
    states = [change.state for change in run.changes]
    assert states == [
        RunState.CREATED,
        RunState.START_DATA_COLLECTION_PENDING,
        RunState.START_DATA_COLLECTION_IN_PROGRESS,
        RunState.COLLECTING_DATA,
        RunState.STOP_DATA_COLLECTION_PENDING,
        RunState.DATA_COLLECTED,
        RunState.START_EVALUATING_RULES_PENDING,
        RunState.EVALUATING_RULES,
        RunState.COMPLETED_WITH_ERRORS,
    ]
    told = await site.told(run)
    findings = (await site.desk.list_findings()).items
    assert told == [
        *states[:3],
        EventKind.RUN_STARTED,
        *states[3:-1],
        *[EventKind.FINDING_REPORTED] * len(findings),
        states[-1],
        EventKind.RUN_COMPLETED,
    ]
    last = event_of((await site.desk.notifications(run.arn))[-1])
    assert last.findings_count == await site.desk.finding_counts_by_package(run.arn)
    assert last.findings_count == {
        ARNS.rules_package("aws-endpoints"): 1,
        ARNS.rules_package("runtime-behavior"): 1,
    }


async def test_silent_and_unhealthy_hosts_are_excluded_and_never_clean(site: Site) -> None:
    template = await site.template()
    await site.hear(replace(make_agent("i-3", env="prod"), is_online=False))
    interfaces = (Interface("eth0", ("10.0.0.5",)),)
    await site.hear(replace(make_agent("i-1", env="prod"), interfaces=interfaces))
    run = await assess(site, await site.desk.start_run(template.arn))
    exclusions = (await site.desk.list_exclusions(run.arn)).items
    named = {(item.title, item.scopes[0].value) for item in exclusions}
    assert named == {(SILENT, "i-2"), (UNHEALTHY, "i-3"), (NOT_EVALUATED, "i-2")}
    (again,) = (await site.desk.describe_exclusions([exclusions[0].arn])).items
    assert again == exclusions[0]
    page = await site.desk.list_findings()
    found = (await site.desk.describe_findings(page.items)).items
    assert {row.agent_id for row in found} == {"i-1"}
    (clean,) = [row for row in found if row.is_clean]
    assert (clean.title, clean.package) == (CLEAN_TITLE, "aws-endpoints")
    (telnet,) = [row for row in found if not row.is_clean]
    assert telnet.user_attributes == (Tag("team", "blue"),)
    assert telnet.host_tags == {"env": "prod"}
    assert telnet.hostname == "host-i-1"
    assert telnet.interfaces == clean.interfaces == interfaces
    assert Tag("REMOTE_PORT", "23") in telnet.attributes


async def test_hosts_have_health_and_telemetry_by_type(site: Site) -> None:
    template = await site.template()
    run = await assess(site, await site.desk.start_run(template.arn))
    first, second = (await site.desk.list_run_agents(run.arn)).items
    assert first.telemetry["InspectorTcpV4Connection"].count == 1
    assert first.telemetry["InspectorTcpV4Connection"].size_bytes > 0
    assert second.telemetry == {}
    assert first.code is HealthCode.IDLE
    total = await site.desk.telemetry_of(run.arn)
    assert total["Total"] == total["InspectorTcpV4Connection"]


async def test_restarts_at_any_moment_tell_nothing_twice(site: Site, tmp_path: Path) -> None:
    template = await site.template()
    run = await assess(site, await site.desk.start_run(template.arn))
    other = Site(tmp_path / "other")
    await other.hear(make_agent("i-1", env="prod"), make_agent("i-2", env="prod"))
    again = await other.desk.start_run((await other.template()).arn)
    again = await assess(other, again, restarts=True)
    assert again.arn == run.arn
    assert await other.told(again) == await site.told(run)
    assert await other.desk.list_findings() == await site.desk.list_findings()
    assert await other.desk.telemetry_of(again.arn) == await site.desk.telemetry_of(run.arn)


async def test_run_without_hosts_waits_for_the_first_ones(site: Site) -> None:
    template = await site.template()
    await site.hear(make_agent("i-1", env="test"), make_agent("i-2", env="test"))
    run = await site.desk.start_run(template.arn)
    assert (await site.tick(run)).state is RunState.CREATED
    await site.hear(make_agent("i-1", env="prod"))
    run = await site.tick(run, at_s=5)
    assert run.agents == ("i-1",)
    (host,) = (await site.desk.list_run_agents(run.arn)).items
    assert host.is_assessed


async def test_quick_run_shares_no_host_with_a_run_that_starts_in_the_same_moment(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = await site.template()
    quick = await site.desk.quick_run(name="quick", duration_s=180)
    started: list[Run] = []
    active_runs = site.store.active_runs

    async def and_another_starts() -> list[Run]:
        """Let a run start when the tick has seen which runs there are, and not looked at hosts."""
        seen = await active_runs()
        if not started:
            started.append(await site.desk.start_run(template.arn))
        return seen

    monkeypatch.setattr(site.store, "active_runs", and_another_starts)
    quick = await site.tick(quick)
    assert (quick.state, quick.agents) == (RunState.CREATED, ())
    await site.hear(make_agent("i-3", env="test"))
    quick = await site.tick(quick, at_s=1)
    assert quick.agents == ("i-3",)
    other = await site.desk.run(started[0].arn)
    assert other.agents == ("i-1", "i-2")
    assert [host.agent_id for host in (await site.desk.list_run_agents(quick.arn)).items] == [
        "i-1",
        "i-2",
        "i-3",
    ]


async def test_run_that_no_host_comes_to_fails_with_an_exclusion(site: Site) -> None:
    template = await site.template()
    await site.hear(make_agent("i-1", env="test"), make_agent("i-2", env="test"))
    run = await site.desk.start_run(template.arn)
    run = await site.tick(run, at_s=61)
    assert run.state is RunState.FAILED
    titles = [item.title for item in (await site.desk.list_exclusions(run.arn)).items]
    assert NO_INSTANCES in titles
    assert (await site.told(run))[-1] == RunState.FAILED


async def test_run_whose_evaluation_breaks_off_ends_in_error(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = await site.template()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no verdict")

    monkeypatch.setattr(clock, "finished", broken)
    run = await assess(site, await site.desk.start_run(template.arn))
    assert (run.state, run.message) == (
        RunState.ERROR,
        "evaluation failed: RuntimeError: no verdict",
    )
    assert [change.state for change in run.changes[-2:]] == [
        RunState.EVALUATING_RULES,
        RunState.ERROR,
    ]
    assert (await site.told(run))[-1] == RunState.ERROR
    titles = [item.title for item in (await site.desk.list_exclusions(run.arn)).items]
    assert FAILED in titles
    assert (await site.desk.list_findings()).items == ()


async def test_run_stopped_before_it_collects_is_judged_by_nothing(site: Site) -> None:
    template = await site.template()
    await site.hear(make_agent("i-1", env="test"), make_agent("i-2", env="test"))
    run = await site.desk.start_run(template.arn)
    await site.desk.stop_run(run.arn)
    for at_s in (1, 2, 70):
        run = await site.tick(run, at_s=at_s)
    assert run.state is RunState.COMPLETED_WITH_ERRORS
    assert (await site.desk.list_findings()).items == ()
    (exclusion,) = (await site.desk.list_exclusions(run.arn)).items  # and nobody takes it for clean
    assert exclusion.title == NO_INSTANCES


async def test_canceled_run_has_no_findings(site: Site) -> None:
    template = await site.template()
    run = await site.desk.start_run(template.arn)
    await site.tick(run)
    await site.desk.stop_run(run.arn, action="SKIP_EVALUATION")
    run = await site.tick(run, at_s=1)
    assert run.state is RunState.CANCELED
    assert (await site.desk.list_findings()).items == ()
    assert EventKind.RUN_COMPLETED not in await site.told(run)
    assert (await site.desk.list_exclusions(run.arn)).items == ()


async def test_package_that_only_inspector_had_is_excluded_and_never_clean(site: Site) -> None:
    template = await site.template()
    named = ["runtime-behavior", "aws-endpoints", "cis-benchmarks"]
    more = await site.desk.create_template(
        template.target_arn, name="more", duration_s=180, packages=named
    )
    token = await site.desk.create_exclusions_preview(more.arn)
    await site.desk.make_previews()
    preview = await site.desk.exclusions_preview(more.arn, token)
    assert preview is not None
    assert ABSENT in [each.title for each in preview.items]
    run = await assess(site, await site.desk.start_run(more.arn))
    absent = [e for e in (await site.desk.list_exclusions(run.arn)).items if e.title == ABSENT]
    assert [scope.value for each in absent for scope in each.scopes] == ["cis-benchmarks"]
    counted = await site.desk.finding_counts_by_package(run.arn)
    assert ARNS.rules_package("cis-benchmarks") not in counted


async def test_run_of_nothing_but_absent_packages_fails(site: Site) -> None:
    run = await site.desk.quick_run(name="", duration_s=5, packages=["cis-benchmarks"])
    run = await site.tick(run)
    assert run.state is RunState.FAILED
    assert run.message.startswith("unknown rules package cis-benchmarks; there are ")
