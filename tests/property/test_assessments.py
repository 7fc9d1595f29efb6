"""Whatever is asked of the desk, every store gives the answer that the store in memory gives."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from analyzer.assessments import Assessments, Limits
from analyzer.errors import AssessmentError
from analyzer.model import (
    SUBSCRIBABLE,
    EventKind,
    FindingFilter,
    FindingRow,
    Range,
    Run,
    RunFilter,
    RunState,
    StopAction,
    Tag,
    TargetFilter,
    TemplateFilter,
)
from analyzer.results.exclusions import numbered, of_failure
from analyzer.store import MemoryStore, Store, open_store
from rules.telemetry import ManualClock
from tests.databases import new_postgresql_database
from tests.desks import PACKAGES, START_US, S, make_agent, make_desk

pytestmark = [pytest.mark.allow_blocking, pytest.mark.timeout(3_600)]

STEPS = 40  # calls of one example
LIMITS = Limits(hosts=4, runs=6, templates=5, targets=4, resource_groups=4, subscriptions=3)
IDS = tuple(package.id for package in PACKAGES)
TOPIC = "arn:aws:sns:eu-west-1:111122223333:topic"

names = st.sampled_from(
    ["web", "Web", "db", "w%b", "w_b", "[w]", "w?b", "ä" * 140, "", "x" * 141, "\0"]
)
patterns = st.sampled_from([None, "*", "w*", "W*", "*b", "w?b", "[w]", "*%*", "*_*", "none", ""])
keys = st.sampled_from(["env", "Env", "role", "x" * 129])
values = st.sampled_from([None, "prod", "Prod", "test", ""])
tags = st.lists(st.builds(Tag, keys, values), max_size=3)
some = st.integers(0, 20)
times = st.none() | st.integers(START_US - S, START_US + 60 * S) | st.just(1 << 70)
ranges = st.builds(Range, times, times)
packages = st.lists(st.sampled_from([*IDS, "no-such-package"]), max_size=2)
severities = st.sampled_from(["High", "Medium", "Low", "Informational", "Undefined"])
agent_ids = st.sampled_from(["i-1", "i-2", "i-3", "I-1"])
limits = st.sampled_from([1, 2, 3, 100, 0])

Call = Callable[[Assessments], Awaitable[Any]]


class Desks(RuleBasedStateMachine):
    """Calls every desk alike, and compares what they say."""

    open_others: ClassVar[Callable[[Path], Coroutine[Any, Any, list[Store]]]]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock(START_US)
        self.arns: dict[str, list[str]] = {
            name: ["nonsense"] for name in ("group", "target", "template", "run", "finding")
        }

    @initialize()
    def open(self) -> None:
        others = self.runner.run(type(self).open_others(Path(self.folder.name)))
        self.desks = [
            make_desk(store, limits=LIMITS, clock=self.clock) for store in [MemoryStore(), *others]
        ]

    def teardown(self) -> None:
        for desk in getattr(self, "desks", []):
            self.runner.run(desk._store.close())
        self.runner.close()
        self.folder.cleanup()

    def ask(self, call: Call) -> Any:  # noqa: ANN401 (whatever the call returns)
        """Return the one answer of all desks; None where they refuse."""
        answers = [self.runner.run(self.answer(call, desk)) for desk in self.desks]
        for answer in answers[1:]:
            assert answer == answers[0]
        return answers[0][1]

    async def answer(self, call: Call, desk: Assessments) -> tuple[str, Any]:
        try:
            return "", await call(desk)
        except AssessmentError as error:
            return f"{type(error).__name__}: {error}", None

    def pick(self, kind: str, number: int) -> str:
        known = self.arns[kind]
        return known[number % len(known)]

    def note(self, kind: str, item: Any) -> None:  # noqa: ANN401
        if item is not None:
            self.arns[kind].append(item.arn)

    def walk(self, call: Callable[[Assessments, str | None], Awaitable[Any]]) -> None:
        """Follow a list to its end."""
        tokens: dict[int, str | None] = dict.fromkeys(map(id, self.desks))

        async def follow(desk: Assessments) -> tuple[object, bool]:
            # Tokens name places in a store, which are its own business.
            page = await call(desk, tokens[id(desk)])
            tokens[id(desk)] = page.next_token
            return page.items, page.next_token is None

        for _ in range(40):
            page = self.ask(follow)
            if page is None or page[1]:
                return

    @rule(seconds=st.integers(0, 5))
    def wait(self, seconds: int) -> None:
        self.clock.time_us += seconds * S

    @rule(agent_id=agent_ids, tags=tags, is_online=st.booleans())
    def hear_of_agent(self, agent_id: str, tags: list[Tag], *, is_online: bool) -> None:
        agent = replace(
            make_agent(agent_id),
            tags={tag.key: tag.value or "" for tag in tags},
            is_online=is_online,
            last_seen_us=self.clock.now_us(),
        )
        self.ask(lambda desk: desk._store.put_agent(agent))

    @rule(tags=tags)
    def create_group(self, tags: list[Tag]) -> None:
        self.note("group", self.ask(lambda desk: desk.create_resource_group(tags)))

    @rule(name=names, group=st.none() | some)
    def create_target(self, name: str, group: int | None) -> None:
        arn = None if group is None else self.pick("group", group)
        made = self.ask(lambda desk: desk.create_target(name, resource_group_arn=arn))
        self.note("target", made)

    @rule(place=some, name=names, group=st.none() | some)
    def update_target(self, place: int, name: str, group: int | None) -> None:
        arn = None if group is None else self.pick("group", group)
        target = self.pick("target", place)
        self.ask(lambda desk: desk.update_target(target, name=name, resource_group_arn=arn))

    @rule(number=some, name=names, packages=packages, attributes=tags)
    def create_template(
        self, number: int, name: str, packages: list[str], attributes: list[Tag]
    ) -> None:
        place = self.pick("target", number)
        made = self.ask(
            lambda desk: desk.create_template(
                place,
                name=name,
                duration_s=180 + len(name),
                packages=packages,
                user_attributes=attributes,
            )
        )
        self.note("template", made)

    @rule(template=some, tags=tags)
    def set_tags(self, template: int, tags: list[Tag]) -> None:
        place = self.pick("template", template)
        self.ask(lambda desk: desk.set_tags(place, tags))
        self.ask(lambda desk: desk.tags_of(place))

    @rule(template=some, event=st.sampled_from(SUBSCRIBABLE), number=st.integers(1, 3))
    def subscribe(self, template: int, event: EventKind, number: int) -> None:
        place = self.pick("template", template)
        self.ask(lambda desk: desk.subscribe(place, event, f"{TOPIC}{number}"))

    @rule(template=some, event=st.sampled_from(SUBSCRIBABLE), number=st.integers(1, 3))
    def unsubscribe(self, template: int, event: EventKind, number: int) -> None:
        place = self.pick("template", template)
        self.ask(lambda desk: desk.unsubscribe(place, event, f"{TOPIC}{number}"))

    @rule(template=some, name=st.none() | names)
    def start_run(self, template: int, name: str | None) -> None:
        place = self.pick("template", template)
        self.note("run", self.ask(lambda desk: desk.start_run(place, name=name)))

    @rule(seconds=st.integers(1, 4))
    def quick_run(self, seconds: int) -> None:
        self.note("run", self.ask(lambda desk: desk.quick_run(name="", duration_s=3 + seconds)))

    @rule(run=some, action=st.sampled_from(["START_EVALUATION", "SKIP_EVALUATION"]))
    def stop_run(self, run: int, action: StopAction) -> None:
        place = self.pick("run", run)
        self.ask(lambda desk: desk.stop_run(place, action=action))

    @rule(run=some, rows=st.lists(st.tuples(severities, agent_ids, tags), max_size=4))
    def end_run(self, run: int, rows: list[tuple[str, str, list[Tag]]]) -> None:
        place = self.pick("run", run)
        kept: Run | None = self.ask(lambda desk: desk.run(place))
        if kept is None or kept.state.is_final:
            return
        ended = kept.entered(RunState.COLLECTING_DATA, self.clock.now_us()).entered(
            RunState.COMPLETED, self.clock.now_us()
        )
        found = [
            _finding(ended, number, severity, agent_id, attributes)
            for number, (severity, agent_id, attributes) in enumerate(rows)
        ]
        excluded = numbered(ended, of_failure(ended))
        self.ask(lambda desk: desk._store.finish_run(ended, b"{}", found, exclusions=excluded))
        for finding in found:
            self.note("finding", finding)

    @rule(kind=st.sampled_from(["target", "template", "run"]), number=some)
    def delete(self, kind: str, number: int) -> None:
        place = self.pick(kind, number)
        self.ask(lambda desk: getattr(desk, f"delete_{kind}")(place))

    @rule(finding=some, attributes=tags)
    def add_attributes(self, finding: int, attributes: list[Tag]) -> None:
        place = self.pick("finding", finding)
        self.ask(lambda desk: desk.add_attributes([place], attributes))

    @rule(finding=some, key=keys)
    def remove_attributes(self, finding: int, key: str) -> None:
        place = self.pick("finding", finding)
        self.ask(lambda desk: desk.remove_attributes([place], [key]))

    @rule(number=some)
    def describe(self, number: int) -> None:
        for kind, arns in self.arns.items():
            asked = [self.pick(kind, number), *arns[-9:]]
            name = "resource_group" if kind == "group" else kind
            self.ask(lambda desk, n=name, a=asked: getattr(desk, f"describe_{n}s")(a))  # type: ignore[misc]
        run = self.pick("run", number)
        self.ask(lambda desk: desk.finding_counts(run))
        self.ask(lambda desk: desk.finding_counts_by_package(run))
        self.ask(lambda desk: desk.notifications(run))
        self.ask(lambda desk: desk.telemetry_of(run))

    @rule(pattern=patterns, limit=limits)
    def list_targets(self, pattern: str | None, limit: int) -> None:
        what = TargetFilter(pattern)
        self.walk(lambda desk, token: desk.list_targets(what, token=token, limit=limit))

    @rule(pattern=patterns, packages=packages, number=st.none() | some, limit=limits)
    def list_templates(
        self, pattern: str | None, packages: list[str], number: int | None, limit: int
    ) -> None:
        arns = () if number is None else (self.pick("target", number),)
        what = TemplateFilter(
            target_arns=arns, name_pattern=pattern, packages=tuple(packages), duration_s=Range(181)
        )
        self.walk(lambda desk, token: desk.list_templates(what, token=token, limit=limit))

    @rule(
        pattern=patterns,
        states=st.lists(st.sampled_from(RunState), max_size=2),
        when=ranges,
        limit=limits,
    )
    def list_runs(
        self, pattern: str | None, states: list[RunState], when: Range, limit: int
    ) -> None:
        for what in (
            RunFilter(name_pattern=pattern, states=tuple(states)),
            RunFilter(started_us=when),
            RunFilter(completed_us=when),
            RunFilter(state_changed_us=when),
        ):
            self.walk(lambda desk, t, w=what: desk.list_runs(w, token=t, limit=limit))  # type: ignore[misc]

    @rule(
        run=st.none() | some,
        severities=st.lists(severities, max_size=3),
        agents=st.lists(agent_ids, max_size=2),
        attributes=tags,
        user_attributes=tags,
        when=ranges,
        limit=limits,
    )
    def list_findings(self, run: int | None, limit: int, **members: Any) -> None:  # noqa: ANN401
        what = FindingFilter(
            run_arns=() if run is None else (self.pick("run", run),),
            severities=tuple(members["severities"]),
            agent_ids=tuple(members["agents"]),
            attributes=tuple(members["attributes"][:1]),
            user_attributes=tuple(members["user_attributes"][:1]),
            created_us=members["when"],
        )
        self.walk(lambda desk, token: desk.list_findings(what, token=token, limit=limit))

    @rule(run=some, template=some, limit=limits)
    def list_the_rest(self, run: int, template: int, limit: int) -> None:
        of_run, of_template = self.pick("run", run), self.pick("template", template)
        target = self.pick("target", template)
        self.walk(lambda desk, t: desk.list_run_agents(of_run, token=t, limit=limit))
        self.walk(lambda desk, t: desk.list_exclusions(of_run, token=t, limit=limit))
        self.walk(lambda desk, t: desk.list_subscriptions(of_template, token=t, limit=limit))
        self.walk(lambda desk, t: desk.list_subscriptions(token=t, limit=limit))
        self.walk(lambda desk, t: desk.preview_agents(target, token=t, limit=limit))


def _finding(
    run: Run, number: int, severity: str, agent_id: str, attributes: list[Tag]
) -> FindingRow:
    return FindingRow(
        id=f"0-{number:08}",
        run_arn=run.arn,
        package=IDS[number % len(IDS)],
        rule=f"rule-{number}",
        agent_id=agent_id,
        severity=severity,
        numeric_severity=3,
        title=f"Instance {agent_id}: something",
        attributes=tuple(item for item in attributes if len(item.key) < 9),
        user_attributes=run.user_attributes,
        created_us=run.state_changed_us,
        updated_us=run.state_changed_us,
    )


async def _sqlite(folder: Path) -> list[Store]:
    return [await open_store(folder / "db")]


async def _both(folder: Path) -> list[Store]:
    return [await open_store(folder / "db"), await open_store(new_postgresql_database())]


def _check(open_others: Callable[[Path], Coroutine[Any, Any, list[Store]]]) -> None:
    machine = type("Machine", (Desks,), {"open_others": staticmethod(open_others)})
    # In the fuzz profile 10,000 calls.
    examples = max(2, settings().max_examples // 80)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_sqlite_answers_as_memory_does() -> None:
    _check(_sqlite)


@pytest.mark.integration
def test_postgresql_and_sqlite_answer_as_memory_does() -> None:
    _check(_both)
