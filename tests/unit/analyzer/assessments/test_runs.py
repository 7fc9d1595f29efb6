from dataclasses import replace

import pytest

from analyzer.assessments import Assessments, Limits
from analyzer.errors import (
    AgentsBusyError,
    AssessmentError,
    InvalidInputError,
    LimitExceededError,
    NoSuchEntityError,
    PreviewInProgressError,
    RunInProgressError,
)
from analyzer.model import (
    EventKind,
    FindingFilter,
    FindingRow,
    HealthCode,
    MessageCount,
    Range,
    Run,
    RunAgentFilter,
    RunFilter,
    RunState,
    Tag,
    Template,
)
from analyzer.results.exclusions import BUSY, NO_INSTANCES, UNHEALTHY
from analyzer.store import event_of
from tests.desks import ARNS, START_US, S, make_agent, make_desk

TOPIC = "arn:aws:sns:eu-west-1:111122223333:runs"


@pytest.fixture
async def desk() -> Assessments:
    made = make_desk()
    for agent in (
        make_agent("i-1", env="prod"),
        make_agent("i-2", env="prod"),
        make_agent("i-3", env="test"),
        replace(make_agent("i-4", env="prod"), is_online=False),
    ):
        await made._store.put_agent(agent)
    return made


async def make_template(desk: Assessments, name: str = "prod", **tags: str) -> Template:
    group = await desk.create_resource_group(
        [Tag(*pair) for pair in (tags or {"env": "prod"}).items()]
    )
    target = await desk.create_target(name, resource_group_arn=group.arn)
    return await desk.create_template(
        target.arn,
        name=name,
        duration_s=180,
        packages=["runtime-behavior"],
        user_attributes=[Tag("team", "blue")],
    )


async def end(desk: Assessments, run: Run, *findings: FindingRow) -> Run:
    ended = run.entered(RunState.COLLECTING_DATA, START_US + S).entered(
        RunState.COMPLETED, START_US + 2 * S
    )
    await desk._store.finish_run(ended, b"{}", findings)
    return ended


def finding(run: Run, number: int = 1, **changes: object) -> FindingRow:
    row = FindingRow(
        id=f"0-{number:08}",
        run_arn=run.arn,
        package="runtime-behavior",
        rule="insecure-client-login",
        agent_id="i-1",
        severity="Medium",
        numeric_severity=6,
        title="Instance i-1: telnet",
        user_attributes=run.user_attributes,
        created_us=START_US,
        updated_us=START_US,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


async def test_run_is_a_snapshot_of_template_target_and_hosts(desk: Assessments) -> None:
    template = await make_template(desk)
    run = await desk.start_run(template.arn, name="first")
    assert run.state is RunState.CREATED
    assert run.agents == ("i-1", "i-2")
    assert run.arn == f"{template.arn}/run/{run.id}"
    assert run.selector == (Tag("env", "prod"),)
    assert run.user_attributes == (Tag("team", "blue"),)
    await desk._store.put_agent(make_agent("i-1", env="test"))
    await desk.update_target(template.target_arn, name="everything")
    assert await desk.run(run.arn) == run
    (described,) = (await desk.describe_templates([template.arn])).items
    assert (described.run_count, described.last_run_arn) == (1, run.arn)


async def test_every_host_of_the_target_is_listed_with_its_health(desk: Assessments) -> None:
    template = await make_template(desk)
    run = await desk.start_run(template.arn)
    agents = (await desk.list_run_agents(run.arn)).items
    assert [(agent.agent_id, agent.is_assessed) for agent in agents] == [
        ("i-1", True),
        ("i-2", True),
        ("i-4", False),
    ]
    down = await desk.list_run_agents(run.arn, RunAgentFilter(codes=(HealthCode.SHUTDOWN,)))
    assert [agent.agent_id for agent in down.items] == ["i-4"]
    first = await desk.list_run_agents(run.arn, limit=1)
    rest = await desk.list_run_agents(run.arn, token=first.next_token, limit=2)
    assert first.items + rest.items == agents


async def test_names_are_unique_in_a_template_and_made_from_the_time(desk: Assessments) -> None:
    template = await make_template(desk)
    run = await desk.start_run(template.arn)
    assert run.name == "Run - prod - 2025-11-24T03:35:00.000Z"
    await end(desk, run)
    again = await desk.start_run(template.arn)
    assert again.name == run.name + " (2)"
    await end(desk, again)
    for name in (run.name, "", "x" * 141):
        with pytest.raises(InvalidInputError):
            await desk.start_run(template.arn, name=name)


async def test_no_host_is_in_two_runs(desk: Assessments) -> None:
    template = await make_template(desk)
    other = await make_template(desk, "other", env="test", role="web")
    run = await desk.start_run(template.arn)
    await desk.start_run(other.arn)
    overlapping = await make_template(desk, "third", env="prod")
    with pytest.raises(AgentsBusyError) as error:
        await desk.start_run(overlapping.arn)
    assert error.value.agents == (("i-1", run.arn), ("i-2", run.arn))
    assert not error.value.is_truncated
    await end(desk, run)
    await desk.start_run(overlapping.arn)


async def test_runs_and_their_hosts_are_limited(desk: Assessments) -> None:
    template = await make_template(desk)
    few = make_desk(desk._store, limits=Limits(hosts=1))
    with pytest.raises(LimitExceededError, match="hosts in active runs"):
        await few.start_run(template.arn)
    none = make_desk(desk._store, limits=Limits(runs=0))
    for start in (none.start_run(template.arn), none.quick_run(name="", duration_s=5)):
        with pytest.raises(LimitExceededError, match="assessment runs"):
            await start


async def test_run_needs_a_rules_package(desk: Assessments) -> None:
    target = await desk.create_target("all")
    template = await desk.create_template(target.arn, name="t", duration_s=180, packages=[])
    with pytest.raises(InvalidInputError) as error:
        await desk.start_run(template.arn)
    assert error.value.code == "INVALID_NUMBER_OF_RULES_PACKAGE_ARNS"


async def test_quick_run_has_an_implicit_target_and_template(desk: Assessments) -> None:
    run = await desk.quick_run(name="now", duration_s=5)
    assert run.arn.startswith(run.template_arn)
    (target,) = (await desk.list_targets()).items
    assert (target.name, target.arn) == ("every host", run.target_arn)
    await desk.create_target("all")  # as scripts do
    with pytest.raises(AssessmentError, match="still CREATED"):
        await desk.quick_run(name="now", duration_s=5)
    second = await desk.quick_run(name="", duration_s=5)
    assert second.template_arn == run.template_arn
    third = await desk.quick_run(name="c", duration_s=5, packages=["aws-endpoints"])
    assert third.template_arn != run.template_arn


async def test_quick_run_leaves_a_target_of_some_hosts_alone(desk: Assessments) -> None:
    group = await desk.create_resource_group([Tag("a")])
    await desk.create_target("every host", resource_group_arn=group.arn)
    run = await desk.quick_run(name="", duration_s=5)
    again = await desk.quick_run(name="b", duration_s=5)
    (target,) = (await desk.describe_targets([run.target_arn])).items
    assert (target.name, target.resource_group_arn) == ("every host (all)", None)
    assert again.target_arn == run.target_arn


async def test_stop_of_an_active_run_is_asked_for_and_of_an_ended_one_is_nothing(
    desk: Assessments,
) -> None:
    template = await make_template(desk)
    run = await desk.start_run(template.arn)
    await desk.stop_run(run.arn, action="SKIP_EVALUATION")
    assert (await desk.run(run.arn)).stop == "SKIP_EVALUATION"
    await end(desk, run)
    await desk.stop_run(run.arn)
    assert (await desk.run(run.arn)).stop == "SKIP_EVALUATION"


async def test_nothing_is_deleted_under_an_active_run(desk: Assessments) -> None:
    template = await make_template(desk)
    run = await desk.start_run(template.arn)
    for delete in (
        desk.delete_run(run.arn),
        desk.delete_template(template.arn),
        desk.delete_target(template.target_arn),
    ):
        with pytest.raises(RunInProgressError) as error:
            await delete
        assert error.value.run_arns == (run.arn,)
    ended = await end(desk, run, finding(run))
    assert (await desk.list_findings()).items == (finding(ended).arn,)
    await desk.delete_run(run.arn)
    assert (await desk.list_findings()).items == ()
    with pytest.raises(NoSuchEntityError):
        await desk.run(run.arn)
    await desk.delete_target(template.target_arn)


@pytest.mark.parametrize("what", ["run", "template", "target"])
async def test_what_is_deleted_takes_the_messages_that_were_told(
    desk: Assessments, what: str
) -> None:
    template = await make_template(desk)
    for topic in (TOPIC, f"{TOPIC}-2"):
        await desk.subscribe(template.arn, EventKind.RUN_STATE_CHANGED, topic)
    run = await end(desk, await desk.start_run(template.arn))
    events = desk._store
    async with events.writing() as rows:
        told, *waiting = await rows.events.messages(run.arn, limit=50)
        await rows.events.save_message(replace(told, next_attempt_us=None))
    arns = {"run": run.arn, "template": template.arn, "target": template.target_arn}
    await getattr(desk, f"delete_{what}")(arns[what])
    async with events.reading() as rows:
        assert await rows.events.messages(run.arn, limit=50) == waiting
        assert len(waiting) == 1


async def test_runs_are_listed_by_filter(desk: Assessments) -> None:
    template = await make_template(desk)
    run = await end(desk, await desk.start_run(template.arn, name="one"))
    active = await desk.start_run(template.arn, name="two")
    assert [r.name for r in (await desk.list_runs()).items] == ["two", "one"]
    what = RunFilter(template_arns=(template.arn,), states=(RunState.COMPLETED,))
    assert (await desk.list_runs(what)).items == (run,)
    assert (await desk.describe_runs([active.arn])).items == (active,)
    with pytest.raises(InvalidInputError) as error:
        await desk.list_runs(RunFilter(started_us=Range(2, 1)))
    assert error.value.code == "INVALID_ASSESSMENT_RUN_START_TIME_RANGE"
    with pytest.raises(NoSuchEntityError):
        await desk.list_runs(RunFilter(template_arns=(template.arn[:-1] + "x",)))


async def test_start_tells_that_the_state_changed(desk: Assessments) -> None:
    template = await make_template(desk)
    await desk.subscribe(template.arn, EventKind.RUN_STATE_CHANGED, TOPIC)
    run = await desk.start_run(template.arn)
    (message,) = await desk.notifications(run.arn)
    assert event_of(message).state is RunState.CREATED


async def test_telemetry_is_summed_over_hosts(desk: Assessments) -> None:
    template = await make_template(desk)
    run = await desk.start_run(template.arn)
    agents = (await desk.list_run_agents(run.arn)).items[:2]
    counted = [replace(a, telemetry={"InspectorUser": MessageCount(2, 30)}) for a in agents]
    await desk._store.save_run(run, agents=counted)
    assert await desk.telemetry_of(run.arn) == {
        "InspectorUser": MessageCount(4, 60),
        "Total": MessageCount(4, 60),
    }


async def test_findings_are_counted_with_zeros(desk: Assessments) -> None:
    template = await make_template(desk)
    run = await desk.start_run(template.arn)
    none = {"High": 0, "Medium": 0, "Low": 0, "Informational": 0, "Undefined": 0}
    assert await desk.finding_counts(run.arn) == none
    await end(desk, run, finding(run), finding(run, 2))
    assert await desk.finding_counts(run.arn) == {**none, "Medium": 2}
    package = ARNS.rules_package("runtime-behavior")
    assert await desk.finding_counts_by_package(run.arn) == {package: 2}


async def test_findings_are_described_and_given_attributes(desk: Assessments) -> None:
    template = await make_template(desk)
    run = await desk.start_run(template.arn)
    await end(desk, run, finding(run), finding(run, 2))
    arns = [finding(run).arn, finding(run, 9).arn]
    clock = desk._clock
    clock.time_us += S  # type: ignore[attr-defined]
    failed = await desk.add_attributes(arns, [Tag("owner", "me"), Tag("team", "red")])
    assert failed == {arns[1]: "ITEM_DOES_NOT_EXIST"}
    (changed,) = (await desk.describe_findings(arns)).items
    assert changed.user_attributes == (Tag("team", "red"), Tag("owner", "me"))
    assert changed.updated_us == START_US + S
    many = [Tag(str(number)) for number in range(9)]
    assert await desk.add_attributes(arns[:1], many) == {arns[0]: "LIMIT_EXCEEDED"}
    await desk.remove_attributes(arns[:1], ["owner", "unknown"])
    (changed,) = (await desk.describe_findings(arns[:1])).items
    assert changed.user_attributes == (Tag("team", "red"),)
    with pytest.raises(InvalidInputError):
        await desk.remove_attributes(arns, [""])


async def test_findings_are_listed_by_filter(desk: Assessments) -> None:
    template = await make_template(desk)
    run = await desk.start_run(template.arn)
    await end(desk, run, finding(run), finding(run, 2, severity="High"))
    what = FindingFilter(run_arns=(run.arn,), severities=("High",))
    assert (await desk.list_findings(what)).items == (finding(run, 2).arn,)
    for bad, code in (
        (FindingFilter(agent_ids=("",)), "INVALID_AGENT_ID"),
        (FindingFilter(attributes=(Tag(""),)), "INVALID_ATTRIBUTE"),
        (FindingFilter(user_attributes=(Tag("a", ""),)), "INVALID_USER_ATTRIBUTE"),
    ):
        with pytest.raises(InvalidInputError) as error:
            await desk.list_findings(bad)
        assert error.value.code == code
    with pytest.raises(NoSuchEntityError):
        await desk.list_findings(FindingFilter(run_arns=(run.arn[:-1] + "x",)))


async def test_preview_says_what_a_run_would_exclude(desk: Assessments) -> None:
    template = await make_template(desk)
    await desk.start_run((await make_template(desk, "one", env="test")).arn)
    token = await desk.create_exclusions_preview(template.arn)
    with pytest.raises(PreviewInProgressError):
        await desk.create_exclusions_preview(template.arn)
    assert await desk.exclusions_preview(template.arn, token) is None
    await desk.make_previews()
    await desk.make_previews()
    page = await desk.exclusions_preview(template.arn, token)
    assert page is not None
    assert [(item.title, item.scopes[0].value) for item in page.items] == [(UNHEALTHY, "i-4")]
    with pytest.raises(InvalidInputError) as error:
        await desk.exclusions_preview(template.arn, "unknown")
    assert error.value.code == "INVALID_PAGINATION_TOKEN"


async def test_preview_names_busy_hosts_and_empty_targets(desk: Assessments) -> None:
    template = await make_template(desk)
    await desk.start_run(template.arn)
    nobody = await make_template(desk, "nobody", env="none")
    titles = []
    for arn in (template.arn, nobody.arn):
        token = await desk.create_exclusions_preview(arn)
        await desk.make_previews()
        first = await desk.exclusions_preview(arn, token, limit=2)
        assert first is not None
        titles.append([item.title for item in first.items])
        if first.next_token is not None:
            rest = await desk.exclusions_preview(arn, token, token=first.next_token)
            assert rest is not None
            titles[-1] += [item.title for item in rest.items]
    assert titles == [[BUSY, BUSY, UNHEALTHY], [NO_INSTANCES]]


async def test_exclusions_of_a_run_are_listed_and_described(desk: Assessments) -> None:
    template = await make_template(desk)
    run = await desk.start_run(template.arn)
    assert (await desk.list_exclusions(run.arn)).items == ()
    found = await desk.describe_exclusions([f"{run.arn}/exclusion/0-missing0"])
    assert list(found.failed.values()) == ["ITEM_DOES_NOT_EXIST"]
