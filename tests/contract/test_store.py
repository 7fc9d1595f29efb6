"""Every store keeps the same promises: the same tests over each implementation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.errors import StoreError
from analyzer.model import (
    Agent,
    DomainEvent,
    EventKind,
    Exclusion,
    ExclusionsPreview,
    FindingFilter,
    FindingRow,
    Interface,
    Progress,
    PublishStatus,
    Range,
    ResourceGroup,
    Route,
    Run,
    RunAgent,
    RunAgentFilter,
    RunFilter,
    RunState,
    Scope,
    Subscription,
    Tag,
    Target,
    TargetFilter,
    Template,
    TemplateFilter,
)
from analyzer.model.agents import Health, HealthCode
from analyzer.model.runs import MessageCount
from analyzer.store import Store, message_to
from tests.databases import STORES, open_new_store

# SQLAlchemy resolves the path of the database file whenever it connects.
pytestmark = pytest.mark.allow_blocking

AGENT = Agent(
    agent_id="i-1",
    boot_id="b1",
    hostname="web-1",
    version="0.1.0",
    tags={"env": "prod"},
    is_online=True,
    is_collecting=False,
    last_seen_us=5_000_000,
    clock_offset_us=-12,
)
RUN = Run(
    id="0-AbCd1234", name="first", duration_s=60, packages=("runtime-behavior",), created_us=10
)


TARGET = Target("arn:t", "web", None, 5, 5)
TEMPLATE = Template(
    arn="arn:t/template/0-aaaaaaaa",
    target_arn="arn:t",
    name="weekly",
    duration_s=180,
    packages=("runtime-behavior", "secure-channels"),
    user_attributes=(Tag("team", "blue"),),
    tags=(Tag("cost", None),),
    created_us=6,
)
PREFIX = "arn:aws:inspector:us-east-1:000000000000:target/0-tttttttt"
NESTED = Target(PREFIX, "nested", None, 5, 5)
NESTED_TEMPLATE = replace(
    TEMPLATE, arn=f"{PREFIX}/template/0-pppppppp", target_arn=PREFIX, name="nested"
)
NESTED_RUN = replace(
    RUN,
    id="0-rrrrrrrr",
    arn=f"{NESTED_TEMPLATE.arn}/run/0-rrrrrrrr",
    template_arn=NESTED_TEMPLATE.arn,
    target_arn=PREFIX,
)


def finding(number: int, **changes: object) -> FindingRow:
    row = FindingRow(
        id=f"0-{number:08}",
        run_arn=NESTED_RUN.arn,
        package="runtime-behavior",
        rule="a-rule",
        agent_id="i-1",
        severity="Low",
        numeric_severity=3,
        interfaces=(Interface("eth0", ("10.0.0.5",)),),
        title="Instance i-1: something",
        attributes=(Tag("PORT", "23"), Tag("HOST", None)),
        user_attributes=(Tag("team", "blue"),),
        created_us=100,
        updated_us=100,
        occurrence_id=f"{number:032}",
        issue_id="issue",
        body='{"count":1}',
    )
    return replace(row, **changes)  # type: ignore[arg-type]


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_new_store(request.param, tmp_path)
    yield opened
    await opened.close()


async def add_nested(store: Store) -> None:
    async with store.writing() as rows:
        await rows.targets.add(NESTED)
        await rows.templates.add(NESTED_TEMPLATE)
        await rows.runs.add(NESTED_RUN)


async def test_agent_comes_back_and_is_replaced(store: Store) -> None:
    await store.put_agent(AGENT)
    changed = replace(
        AGENT,
        is_online=False,
        tags={},
        os_name="Debian 12",
        kernel_release="6.1",
        interfaces=(Interface("eth0", ("10.0.0.5", "fd00::5")),),
    )
    await store.put_agent(changed)
    await store.put_agent(replace(AGENT, agent_id="i-0"))
    assert await store.agents() == [replace(AGENT, agent_id="i-0"), changed]


async def test_run_comes_back_with_history_and_progress(store: Store) -> None:
    await store.add_run(RUN)
    run = replace(
        RUN.entered(RunState.CREATED, 11).entered(RunState.COLLECTING_DATA, 12),
        from_us=12,
        to_us=60_000_012,
        agents=("i-1", "i-2"),
        message="one host was silent",
        progress=Progress(events=7, batches=2, rejected=1, findings={"High": 1}),
    )
    await store.save_run(run)
    assert await store.run(RUN.id) == run


async def test_run_unknown_is_none_and_cannot_be_saved(store: Store) -> None:
    assert await store.run("0-nothing") is None
    with pytest.raises(StoreError, match="does not exist"):
        await store.save_run(RUN)


async def test_run_with_the_same_id_is_refused(store: Store) -> None:
    await store.add_run(RUN)
    with pytest.raises(StoreError, match="exists already"):
        await store.add_run(RUN)


async def test_runs_are_listed_newest_first(store: Store) -> None:
    runs = [replace(RUN, id=f"0-{n}", created_us=n) for n in (1, 3, 2)]
    for run in runs:
        await store.add_run(run)
    assert [run.created_us for run in await store.runs()] == [3, 2, 1]


async def test_active_runs_are_those_that_have_not_ended(store: Store) -> None:
    for created_us, state in enumerate(RunState):
        await store.add_run(replace(RUN, id=f"0-{created_us}", created_us=created_us, state=state))
    active = await store.active_runs()
    assert [run.state for run in active] == [s for s in reversed(RunState) if not s.is_final]


async def test_stop_request_survives_a_save_by_the_run_clock(store: Store) -> None:
    await store.add_run(RUN)
    assert await store.request_stop(RUN.id, "START_EVALUATION")
    await store.save_run(RUN.entered(RunState.COLLECTING_DATA, 12))
    kept = await store.run(RUN.id)
    assert kept is not None
    assert (kept.stop, kept.state) == ("START_EVALUATION", RunState.COLLECTING_DATA)


async def test_stop_request_of_an_ended_or_unknown_run_is_refused(store: Store) -> None:
    await store.add_run(RUN)
    await store.save_run(RUN.entered(RunState.COMPLETED, 12))
    assert not await store.request_stop(RUN.id, "SKIP_EVALUATION")
    assert not await store.request_stop("0-nothing", "SKIP_EVALUATION")


async def test_finish_keeps_result_and_findings_and_can_be_repeated(store: Store) -> None:
    await add_nested(store)
    done = NESTED_RUN.entered(RunState.COMPLETED, 99)
    await store.finish_run(done, b"first", [finding(9_999)])
    severities = (("High", 9), ("Low", 3))
    many = [
        finding(n, severity=severities[n % 2][0], numeric_severity=severities[n % 2][1])
        for n in range(2_500)
    ]
    await store.finish_run(done, b"second", many)
    assert await store.result(done.id) == b"second"
    kept = await store.findings(done.id)
    assert kept == sorted(many, key=lambda f: (-f.numeric_severity, f.occurrence_id))
    assert (await store.run(done.id)) == done
    async with store.reading() as rows:
        counts = await rows.findings.counts(done.id)
    assert counts == {("runtime-behavior", "High"): 1250, ("runtime-behavior", "Low"): 1250}


async def test_result_of_a_run_without_one_is_none(store: Store) -> None:
    await store.add_run(RUN)
    assert await store.result(RUN.id) is None
    assert await store.findings(RUN.id) == []


async def test_what_fails_leaves_nothing(store: Store) -> None:
    async def fail() -> None:
        async with store.writing() as rows:
            await rows.targets.add(TARGET)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with store.reading() as rows:
        assert await rows.targets.count() == 0


async def test_groups_targets_and_templates_come_back(store: Store) -> None:
    group = ResourceGroup("arn:g", (Tag("env", "prod"), Tag("web", None)), 3)
    changed = replace(TARGET, name="db", resource_group_arn="arn:g", updated_us=9)
    async with store.writing() as rows:
        await rows.targets.add_group(group)
        await rows.targets.add(TARGET)
        await rows.targets.update(changed)
        await rows.templates.add(TEMPLATE)
        await rows.templates.set_tags(TEMPLATE.arn, [Tag("a", "b")])
    async with store.reading() as rows:
        assert await rows.targets.group("arn:g") == group
        assert await rows.targets.count_groups() == 1
        assert await rows.targets.get("arn:t") == changed
        assert await rows.targets.named("db") == changed
        assert await rows.targets.named("web") is None
        kept = await rows.templates.get(TEMPLATE.arn)
        assert kept == replace(TEMPLATE, tags=(Tag("a", "b"),))
        assert await rows.templates.named("arn:t", "weekly") == kept


async def test_targets_page_newest_first_and_by_case_sensitive_pattern(store: Store) -> None:
    names = ["web-1", "Web-2", "web?3", "web[4]", "db_5", "web%6"]
    async with store.writing() as rows:
        for number, name in enumerate(names):
            await rows.targets.add(replace(TARGET, arn=f"arn:{number}", name=name))
    async with store.reading() as rows:

        async def named(pattern: str | None) -> list[str]:
            page = await rows.targets.page(TargetFilter(pattern), after=None, limit=10)
            return [target.name for _, target in page]

        assert await named(None) == names[::-1]
        assert await named("web*") == ["web%6", "web[4]", "web?3", "web-1"]
        assert await named("web?3") == ["web?3"]
        assert await named("web[4]") == ["web[4]"]
        assert await named("*_*") == ["db_5"]
        assert await named("*%*") == ["web%6"]
        first = await rows.targets.page(TargetFilter(), after=None, limit=2)
        rest = await rows.targets.page(TargetFilter(), after=first[-1][0], limit=10)
        assert [target.name for _, target in first + rest] == names[::-1]


async def test_templates_are_filtered(store: Store) -> None:
    other = replace(
        TEMPLATE,
        arn="arn:t/template/0-bbbbbbbb",
        name="daily",
        duration_s=3600,
        packages=("aws-endpoints",),
    )
    async with store.writing() as rows:
        await rows.targets.add(TARGET)
        await rows.templates.add(TEMPLATE)
        await rows.templates.add(other)
    for what, expected in (
        (TemplateFilter(), ["daily", "weekly"]),
        (TemplateFilter(duration_s=Range(180, 180)), ["weekly"]),
        (TemplateFilter(duration_s=Range(low=181)), ["daily"]),
        (TemplateFilter(packages=("secure-channels", "no-such")), ["weekly"]),
        (TemplateFilter(packages=("channels",)), []),
        (TemplateFilter(target_arns=("arn:other",)), []),
        (TemplateFilter(target_arns=("arn:t", "arn:other"), name_pattern="d*"), ["daily"]),
    ):
        async with store.reading() as rows:
            page = await rows.templates.page(what, after=None, limit=10)
        assert [template.name for _, template in page] == expected, what


async def test_template_counts_its_runs_and_names_the_last(store: Store) -> None:
    await add_nested(store)
    later = replace(NESTED_RUN, id="0-later000", arn=f"{NESTED_TEMPLATE.arn}/run/0-later000")
    await store.add_run(later)
    async with store.reading() as rows:
        template = await rows.templates.get(NESTED_TEMPLATE.arn)
    assert template is not None
    assert (template.run_count, template.last_run_arn) == (2, later.arn)


async def test_runs_are_filtered(store: Store) -> None:
    await add_nested(store)
    run = NESTED_RUN.entered(RunState.CREATED, 10).entered(RunState.COLLECTING_DATA, 20)
    await store.save_run(run.entered(RunState.COMPLETED, 30))
    await store.add_run(RUN)  # without ARN: not for lists
    for what, expected in (
        (RunFilter(), 1),
        (RunFilter(states=(RunState.COMPLETED, RunState.CREATED)), 1),
        (RunFilter(states=(RunState.CREATED,)), 0),
        (RunFilter(started_us=Range(20, 20)), 1),
        (RunFilter(started_us=Range(21)), 0),
        (RunFilter(completed_us=Range(-(1 << 80), 1 << 80)), 1),
        (RunFilter(completed_us=Range(high=29)), 0),
        (RunFilter(state_changed_us=Range(30, 30)), 1),
        (RunFilter(template_arns=(NESTED_TEMPLATE.arn,), name_pattern="*irs*"), 1),
        (RunFilter(packages=("secure-channels",)), 0),
        (RunFilter(duration_s=Range(60)), 1),
    ):
        async with store.reading() as rows:
            assert len(await rows.runs.page(what, after=None, limit=10)) == expected, what


async def test_run_agents_are_kept_and_paged_by_id(store: Store) -> None:
    await add_nested(store)
    agents = [
        RunAgent(
            run_arn=NESTED_RUN.arn,
            agent_id=f"i-{name}",
            code=code,
            details="fine",
            is_assessed=code is HealthCode.RUNNING,
            hostname="web",
            auto_scaling_group="group",
            tags={"a": "b"},
            telemetry={"Total": MessageCount(1, 2)},
        )
        for name, code in (
            ("b", HealthCode.RUNNING),
            ("B", HealthCode.UNKNOWN),
            ("a", HealthCode.SHUTDOWN),
        )
    ]
    async with store.writing() as rows:
        await rows.runs.put_agents(agents)
        await rows.runs.put_agents([replace(agents[0], details="better")])
    ordered = [agents[1], agents[2], replace(agents[0], details="better")]
    async with store.reading() as rows:
        assert await rows.runs.agents(NESTED_RUN.arn) == ordered
        for what, expected in (
            (RunAgentFilter(), ordered[:2]),
            (RunAgentFilter(healths=(Health.UNHEALTHY, Health.HEALTHY)), ordered[1:]),
            (RunAgentFilter(codes=(HealthCode.UNKNOWN,)), ordered[:1]),
            (RunAgentFilter(healths=(Health.HEALTHY,), codes=(HealthCode.UNKNOWN,)), []),
        ):
            page = await rows.runs.agent_page(NESTED_RUN.arn, what, after="", limit=2)
            assert page == expected, what
        rest = await rows.runs.agent_page(NESTED_RUN.arn, RunAgentFilter(), after="i-a", limit=9)
        assert rest == ordered[2:]


async def test_findings_are_filtered_and_paged(store: Store) -> None:
    await add_nested(store)
    rows_ = [
        finding(1),
        finding(2, severity="High", numeric_severity=9, agent_id="i-2", rule="other"),
        finding(3, auto_scaling_group="asg", package="aws-endpoints"),
        finding(4, attributes=(Tag("PORT", "21"),), user_attributes=()),
        finding(5, created_us=200, updated_us=200),
    ]
    await store.finish_run(NESTED_RUN.entered(RunState.COMPLETED, 1), b"", rows_)
    cases = [
        (FindingFilter(), [5, 4, 3, 2, 1]),
        (FindingFilter(run_arns=(NESTED_RUN.arn,)), [5, 4, 3, 2, 1]),
        (FindingFilter(run_arns=(NESTED_RUN.arn[:-1] + "x",)), []),
        (FindingFilter(severities=("High", "Low"), agent_ids=("i-2",)), [2]),
        (FindingFilter(agent_ids=("i-1", "i-2", "i-2")), [5, 4, 3, 2, 1]),
        (FindingFilter(rules=("other",)), [2]),
        (FindingFilter(packages=("aws-endpoints",), auto_scaling_groups=("asg", "x")), [3]),
        (FindingFilter(attributes=(Tag("PORT", "23"),)), [5, 3, 2, 1]),
        (FindingFilter(attributes=(Tag("PORT", "23"), Tag("HOST", None))), [5, 3, 2, 1]),
        (FindingFilter(attributes=(Tag("PORT", None),)), []),
        (FindingFilter(attributes=(Tag("team", "blue"),)), []),
        (FindingFilter(user_attributes=(Tag("team", "blue"),), severities=("High",)), [2]),
        (FindingFilter(created_us=Range(101)), [5]),
        (FindingFilter(created_us=Range(high=199), severities=("Low",)), [4, 3, 1]),
        (FindingFilter(attributes=(Tag("PORT", "23"),), created_us=Range(150, 250)), [5]),
        (FindingFilter(severities=("Undefined",)), []),
        (FindingFilter(severities=("High", "Low"), packages=("aws-endpoints", "x")), [3]),
        (FindingFilter(packages=("aws-endpoints",), severities=("High",)), []),
        (FindingFilter(run_arns=(NESTED_RUN.arn,), created_us=Range(high=199)), [4, 3, 2, 1]),
        (FindingFilter(run_arns=(NESTED_RUN.arn,), rules=("other", "x")), [2]),
        (FindingFilter(run_arns=(NESTED_RUN.arn[:-1] + "x",), rules=("other",)), []),
        (FindingFilter(run_arns=("nonsense",), rules=("other",)), []),
        (
            FindingFilter(
                run_arns=(NESTED_RUN.arn, NESTED_RUN.arn[:-1] + "x"),
                user_attributes=(Tag("team", "blue"),),
                attributes=(Tag("PORT", "23"), Tag("HOST", None)),
            ),
            [5, 3, 2, 1],
        ),
    ]
    for what, expected in cases:
        found: list[str] = []
        after = None
        while True:
            async with store.reading() as rows:
                page = await rows.findings.page(what, after=after, limit=2)
            found += [arn for _, arn in page]
            if len(page) < 2:
                break
            after = page[-1][0]
        assert [int(arn[-8:]) for arn in found] == expected, what


async def test_user_attributes_of_a_finding_are_replaced(store: Store) -> None:
    await add_nested(store)
    await store.finish_run(NESTED_RUN.entered(RunState.COMPLETED, 1), b"", [finding(1)])
    arn = finding(1).arn
    async with store.writing() as rows:
        await rows.findings.set_user_attributes(arn, [Tag("owner", "me")], updated_us=300)
    async with store.reading() as rows:
        kept = await rows.findings.get([arn, arn[:-1] + "9", "nonsense"])
        assert kept == {
            arn: replace(finding(1), user_attributes=(Tag("owner", "me"),), updated_us=300)
        }
        for item, expected in ((Tag("owner", "me"), [arn]), (Tag("team", "blue"), [])):
            what = FindingFilter(user_attributes=(item,))
            page = await rows.findings.page(what, after=None, limit=5)
            assert [found for _, found in page] == expected


async def test_exclusions_and_previews_come_back(store: Store) -> None:
    await add_nested(store)
    exclusion = Exclusion(
        title="Agent unhealthy",
        description="It was silent.",
        recommendation="Start it.",
        scopes=(Scope("INSTANCE_ID", "i-1"),),
        attributes=(Tag("INSTANCE_ID", "i-1"),),
        id="0-eeeeeee1",
        run_arn=NESTED_RUN.arn,
    )
    other = replace(exclusion, id="0-eeeeeee2")
    pending = ExclusionsPreview("token", NESTED_TEMPLATE.arn, 7)
    done = NESTED_RUN.entered(RunState.COMPLETED, 1)
    await store.finish_run(done, b"", [], exclusions=[replace(exclusion, id="0-old00000")])
    await store.finish_run(done, b"", [], exclusions=[exclusion, other])
    async with store.writing() as rows:
        await rows.exclusions.put_preview(pending)
    async with store.reading() as rows:
        assert await rows.exclusions.get(exclusion.arn) == exclusion
        assert await rows.exclusions.get(f"{NESTED_RUN.arn}/exclusion/0-old00000") is None
        page = await rows.exclusions.page(NESTED_RUN.arn, after=None, limit=1)
        rest = await rows.exclusions.page(NESTED_RUN.arn, after=page[0][0], limit=5)
        assert [item for _, item in page + rest] == [other, exclusion]
        assert await rows.exclusions.pending_previews() == [pending]
    made = replace(pending, exclusions=(replace(exclusion, id="", run_arn=""),))
    async with store.writing() as rows:
        await rows.exclusions.put_preview(made)
    async with store.reading() as rows:
        assert await rows.exclusions.preview("token") == made
        assert await rows.exclusions.preview("other") is None
        assert await rows.exclusions.pending_previews() == []


async def test_changes_of_a_run_tell_topics_and_routes_once(store: Store) -> None:
    await add_nested(store)
    topic = "arn:aws:sns:us-east-1:000000000000:topic"
    kind = EventKind.RUN_STATE_CHANGED
    async with store.writing() as rows:
        await rows.events.subscribe(Subscription(NESTED_TEMPLATE.arn, kind, topic, 5))
        await rows.events.subscribe(Subscription(NESTED_TEMPLATE.arn, kind, topic, 6))
        await rows.events.put_route(
            Route(name="hook", url="https://example.org", options={"secret": "x"}, created_us=5)
        )
    event = DomainEvent(
        kind=kind,
        at_us=50,
        template_arn=NESTED_TEMPLATE.arn,
        target_arn=NESTED.arn,
        run_arn=NESTED_RUN.arn,
        state=RunState.COLLECTING_DATA,
    )
    other = replace(event, kind=EventKind.RUN_STARTED, state=None)
    for _ in range(2):
        await store.save_run(NESTED_RUN, events=[event, other])
    async with store.reading() as rows:
        due = await rows.events.due(50, limit=10)
        assert await rows.events.due(49, limit=10) == []
        assert await rows.events.next_due_us() == 50
        assert await rows.events.messages(NESTED_RUN.arn, limit=5) == [due[0]]
    told = [(message.topic_arn, message.route, message.event) for message in due]
    assert told == [(topic, "", kind), ("", "hook", kind), ("", "hook", EventKind.RUN_STARTED)]
    delivered = replace(
        due[0], attempts=1, next_attempt_us=None, delivered_us=60, status=PublishStatus.SUCCESS
    )
    async with store.writing() as rows:
        await rows.events.save_message(delivered)
    async with store.reading() as rows:
        assert await rows.events.message(delivered.id) == delivered
        assert await rows.events.due(99, limit=10) == due[1:]


@pytest.mark.parametrize("arn", [NESTED.arn, NESTED_TEMPLATE.arn, NESTED_RUN.arn])
async def test_messages_that_were_told_are_forgotten_with_what_they_tell_of(
    store: Store, arn: str
) -> None:
    await add_nested(store)
    event = DomainEvent(
        kind=EventKind.RUN_STARTED,
        at_us=50,
        template_arn=NESTED_TEMPLATE.arn,
        target_arn=NESTED.arn,
        run_arn=NESTED_RUN.arn,
    )
    told, waiting = (message_to(event, topic_arn=topic) for topic in ("told", "waiting"))
    apart = message_to(
        replace(event, target_arn="a", template_arn="b", run_arn="c"), topic_arn="apart"
    )
    over = [replace(message, next_attempt_us=None) for message in (told, apart)]
    async with store.writing() as rows:
        await rows.events.send([*over, waiting])
        assert await rows.events.forget_messages_about(arn) == 1
        assert await rows.events.forget_messages_about(arn) == 0
    async with store.reading() as rows:
        assert await rows.events.message(told.id) is None
        assert await rows.events.message(waiting.id) == waiting
        assert await rows.events.message(apart.id) == over[1]


async def test_subscriptions_and_routes_go(store: Store) -> None:
    await add_nested(store)
    subscription = Subscription(NESTED_TEMPLATE.arn, EventKind.OTHER, "topic", 5)
    route = Route(name="a", url="u", events=(EventKind.RUN_STARTED,), options={}, created_us=1)
    async with store.writing() as rows:
        await rows.events.subscribe(subscription)
        await rows.events.put_route(route)
    async with store.writing() as rows:
        assert await rows.events.subscriptions() == [subscription]
        assert await rows.events.subscriptions("arn:other") == []
        assert await rows.events.routes() == [route]
        assert await rows.events.unsubscribe(NESTED_TEMPLATE.arn, EventKind.OTHER, "topic")
        assert not await rows.events.unsubscribe(NESTED_TEMPLATE.arn, EventKind.OTHER, "topic")
        assert await rows.events.delete_route("a")
        assert not await rows.events.delete_route("a")


async def test_deleting_a_target_takes_everything_in_it(store: Store) -> None:
    await add_nested(store)
    async with store.writing() as rows:
        await rows.events.subscribe(Subscription(NESTED_TEMPLATE.arn, EventKind.OTHER, "t", 5))
        await rows.exclusions.put_preview(ExclusionsPreview("token", NESTED_TEMPLATE.arn, 7))
        await rows.runs.put_agents(
            [RunAgent(run_arn=NESTED_RUN.arn, agent_id="i-1", code=HealthCode.IDLE)]
        )
    await store.finish_run(NESTED_RUN.entered(RunState.COMPLETED, 1), b"x", [finding(1)])
    async with store.writing() as rows:
        await rows.targets.delete(NESTED.arn)
    async with store.reading() as rows:
        assert await rows.templates.count() == 0
        assert await rows.runs.count() == 0
        assert await rows.runs.result(NESTED_RUN.id) is None
        assert await rows.runs.agents(NESTED_RUN.arn) == []
        assert await rows.findings.page(FindingFilter(), after=None, limit=5) == []
        assert await rows.findings.counts(NESTED_RUN.id) == {}
        assert await rows.events.subscriptions() == []
        assert await rows.exclusions.preview("token") is None


async def test_runs_within_a_target_or_template_are_found_by_name_and_activity(
    store: Store,
) -> None:
    await add_nested(store)
    async with store.reading() as rows:
        assert await rows.runs.active(within=NESTED.arn) == [NESTED_RUN]
        assert await rows.runs.active(within=NESTED_TEMPLATE.arn) == [NESTED_RUN]
        assert await rows.runs.active(within="arn:other") == []
        assert await rows.runs.get(NESTED_RUN.arn) == NESTED_RUN
        assert await rows.runs.get("arn:other") is None
        assert await rows.runs.named(NESTED_TEMPLATE.arn, "first") == NESTED_RUN
        assert await rows.runs.named(NESTED_TEMPLATE.arn, "second") is None


async def test_settings_are_kept(store: Store) -> None:
    async with store.writing() as rows:
        await rows.settings.put("account", "1")
        await rows.settings.put("account", "2")
    async with store.reading() as rows:
        assert await rows.settings.get("account") == "2"
        assert await rows.settings.get("region") is None
        assert await rows.settings.all() == {"account": "2"}
