from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.data_folder import DataFolder
from analyzer.errors import RunInProgressError
from analyzer.model import Exclusion, Matcher, Run, RunState, Scope, Tag, Target, Template
from analyzer.reports.occasion import Excluded
from analyzer.reports.stored import StoredReports, excluded_of
from analyzer.results.document import to_json
from analyzer.runs.desk import RunDesk
from analyzer.store import MemoryStore
from analyzer.suppression.desk import SuppressionDesk
from rules.telemetry import ManualClock
from tests.ended_runs import TEMPLATE, of_run

pytestmark = pytest.mark.allow_blocking  # reads rule files in threads and modules where needed

TARGET = TEMPLATE.partition("/template/")[0]
RUN = Run(
    "0-aaaaaaaa",
    "nightly",
    60,
    (),
    5,
    RunState.COMPLETED,
    from_us=0,
    to_us=10,
    arn=f"{TEMPLATE}/run/0-aaaaaaaa",
    template_arn=TEMPLATE,
    target_arn=TARGET,
    selector=(Tag("env", "prod"), Tag("team", None)),
).entered(RunState.COMPLETED, 90_000_000)
CLOCK = ManualClock(500_000_000)


def exclusion(title: str, *hosts: str, description: str = "It was silent.") -> list[Exclusion]:
    return [
        Exclusion(
            title=title,
            description=f"{host}: {description}" if len(hosts) > 1 else description,
            recommendation="Start it.",
            scopes=(Scope("INSTANCE_ID", host), Scope("RULES_PACKAGE_ARN", "p")),
            id=f"0-{number:08}",
            run_arn=RUN.arn,
        )
        for number, host in enumerate(hosts)
    ]


@pytest.fixture
async def store() -> MemoryStore:
    made = MemoryStore()
    async with made.writing() as rows:
        await rows.targets.add(Target(TARGET, "all hosts", None, 1, 1))
        template = Template(
            arn=TEMPLATE, target_arn=TARGET, name="weekly", duration_s=60, packages=()
        )
        await rows.templates.add(template)
    await made.add_run(RUN)
    await made.finish_run(
        RUN,
        to_json(of_run(RUN.id, "i1")),
        [],
        exclusions=exclusion("Silent", "h-db", "h-x"),
    )
    return made


@pytest.fixture
def reports(store: MemoryStore, tmp_path: Path) -> StoredReports:
    runs = RunDesk(store, DataFolder(tmp_path), clock=CLOCK)
    return StoredReports(runs, store, clock=CLOCK)


async def test_occasion_is_that_of_the_run(reports: StoredReports) -> None:
    material = await reports.material(RUN.id, "findings")
    occasion = material.occasion
    facts = {fact.name: fact.text for fact in occasion.facts()}
    assert facts["Assessment template"] == "weekly"
    assert facts["Assessment target"] == "all hosts"
    assert facts["Hosts chosen by"] == "any of env = prod, team = any"
    assert facts["Ended"] == "1970-01-01 00:01:30 UTC"
    assert facts["Report made"] == "1970-01-01 00:08:20 UTC"
    assert "Compared with" not in facts
    (silent,) = occasion.excluded
    assert silent.hosts == ("db.test", "h-x")
    assert silent.description.startswith("2 times, such as: h-")


async def test_accepted_risk_makes_another_version(
    reports: StoredReports, store: MemoryStore
) -> None:
    before = await reports.version(RUN.id)
    assert before == await reports.version(RUN.id)
    desk = SuppressionDesk(store, clock=CLOCK)
    await desk.accept(
        Matcher(rule="insecure-*"), reason="r", owner="Kim", expires_us=CLOCK.time_us + 1
    )
    assert await reports.version(RUN.id) != before
    material = await reports.material(RUN.id, "full")
    assert material.occasion.accepted == {"i1": "by Kim until 1970-01-01: r"}
    assert material.occasion.remarks[0].startswith("1 suppression expires soon: s-")


async def test_what_the_cover_and_the_remarks_say_makes_another_version(
    reports: StoredReports, store: MemoryStore
) -> None:
    versions = [await reports.version(RUN.id)]
    async with store.writing() as rows:
        await rows.targets.update(Target(TARGET, "fleet", None, 1, 2))
    versions.append(await reports.version(RUN.id))
    day_us = 86_400_000_000
    clock = ManualClock(CLOCK.time_us)
    later = StoredReports(reports._runs, store, clock=clock)
    desk = SuppressionDesk(store, clock=clock)
    await desk.accept(
        Matcher(rule="x"), reason="r", owner="Kim", expires_us=CLOCK.time_us + 20 * day_us
    )
    for day in (0, 10, 21):  # accepted, ends soon, has ended
        clock.time_us = CLOCK.time_us + day * day_us
        versions.append(await later.version(RUN.id))
    assert len(set(versions)) == 5


async def test_run_of_a_template_is_compared_with_the_one_before(
    reports: StoredReports, store: MemoryStore
) -> None:
    later = replace(RUN, id="0-bbbbbbbb", arn=f"{TEMPLATE}/run/0-bbbbbbbb", created_us=6)
    await store.add_run(later)
    await store.finish_run(later, to_json(of_run(later.id, "i2")), [])
    trend = (await reports.material(later.id, "full")).occasion.trend
    assert trend is not None
    assert trend.against == "run 0-aaaaaaaa of 1970-01-01 00:00:00 UTC"
    assert trend.new == {"i2"}
    assert trend.resolved["Medium"] == 1


async def test_run_without_template_has_none_on_its_cover(
    reports: StoredReports, store: MemoryStore
) -> None:
    plain = Run("0-cccccccc", "t", 60, ("x",), 7, RunState.COMPLETED, from_us=0, to_us=1)
    await store.add_run(plain)
    await store.finish_run(plain, to_json(of_run(plain.id, "i3")), [])
    facts = [fact.name for fact in (await reports.material(plain.id, "full")).occasion.facts()]
    assert facts == ["Duration", "Report made"]


async def test_active_and_deleted_runs_have_no_report(
    reports: StoredReports, store: MemoryStore
) -> None:
    active = replace(RUN, id="0-dddddddd", arn="arn:d", state=RunState.COLLECTING_DATA)
    await store.add_run(active)
    with pytest.raises(RunInProgressError):
        await reports.version(active.id)
    assert await reports.exists(active.id)
    assert not await reports.exists("0-gone")


def test_excluded_names_what_it_cannot_resolve() -> None:
    made = excluded_of(exclusion("Empty", "*"), of_run(RUN.id, "i1"))
    assert made == (
        Excluded(title="Empty", description="It was silent.", recommendation="Start it."),
    )
