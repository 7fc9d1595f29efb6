"""Use cases that start assessment runs."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from analyzer.arns import EntityKind, run_arn, template_arn
from analyzer.assessments import limits
from analyzer.assessments.checks import checked_text
from analyzer.assessments.choice import choose_hosts
from analyzer.assessments.desk import Desk
from analyzer.assessments.happenings import changes_between
from analyzer.assessments.states import create_run
from analyzer.assessments.targets import selector_of
from analyzer.errors import AgentsBusyError, InvalidInputError, LimitExceededError
from analyzer.model import Run, RunState, Target, Template, evaluated
from analyzer.store import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.store import Rows

IMPLICIT_TARGET: Final = "every host"  # not "all", which people and their scripts like to take
NAME_TAKEN: Final = "ASSESSMENT_TEMPLATE_NAME_ALREADY_TAKEN"
"""Inspector has no code for a run's name that is taken or no name; this comes nearest."""


class StartDesk(Desk):
    """How it begins."""

    async def start_run(self, template_arn: str, *, name: str | None = None) -> Run:
        """Return a new run of a template, on the hosts that its target selects now.

        Its hosts are those that are healthy; the others are excluded. If none is healthy, the run
        waits up to a minute for the first ones. What becomes of target and template afterwards
        changes nothing in the run.

        Args:
            template_arn: The template.
            name: Unique among the template's runs; None = made from template and time.

        Raises:
            InvalidInputError: The ARN is none, the name cannot be kept or is taken
                (``NAME_TAKEN``), or the template has no rules package of Proctor's.
            NoSuchEntityError: The template does not exist.
            AgentsBusyError: Hosts of the target are in an active run.
            LimitExceededError: There are too many runs, or too many hosts in active ones.
        """
        now_us = self._clock.now_us()
        async with self._store.writing() as rows:
            template = await self._template(rows, template_arn)
            target = await self._target(rows, template.target_arn)
            if not evaluated(template.packages):
                code = "INVALID_NUMBER_OF_RULES_PACKAGE_ARNS"
                text = "a run needs a template with a rules package that Proctor has"
                raise InvalidInputError(code, text)
            run = await self._new_run(rows, template, name, now_us)
            run = replace(run, selector=await selector_of(rows, target))
            return await self._begin(rows, run, now_us)

    async def quick_run(self, *, name: str, duration_s: int, packages: Sequence[str] = ()) -> Run:
        """Return a new run on every healthy host that is in no other run.

        It has an implicit target with every host, and an implicit template.

        Args:
            name: Empty = made from the time; taken while a run of that name is active.
            duration_s: How long it collects; shorter than a template allows, if need be.
            packages: Ids of rules packages, known when the run is taken up; none = all.

        Raises:
            AssessmentError: Duration or name is not allowed, or there are too many runs.
        """
        now_us = self._clock.now_us()
        async with self._store.writing() as rows:
            run = create_run(
                name=name or f"Run - {_moment(now_us)}",
                duration_s=duration_s,
                packages=packages,
                now_us=now_us,
                active=await rows.runs.active(),
            )
            await self._require_room(rows)
            target = await self._implicit_target(rows, now_us)
            template = await self._implicit_template(rows, target, run, now_us)
            run = replace(
                run,
                id=self._make_id(),
                template_arn=template.arn,
                target_arn=target.arn,
            )
            run = replace(run, arn=run_arn(template.arn, run.id))
            await rows.runs.add(run)
            await tell(rows, changes_between(None, run))
        return run

    async def _begin(self, rows: Rows, run: Run, now_us: int) -> Run:
        active = await rows.runs.active()
        choice = choose_hosts(run, await rows.agents.all(), active, now_us)
        if choice.busy:
            raise AgentsBusyError(choice.busy)
        await self._require_room(rows)
        hosts = sum(len(other.agents) for other in active) + len(choice.healthy)
        if hosts > self.limits.hosts:
            what = "hosts in active runs together"
            raise LimitExceededError(EntityKind.RUN, self.limits.hosts, what)
        run = replace(run, agents=choice.healthy)
        await rows.runs.add(run)
        await rows.runs.put_agents(choice.seen_by(run, now_us))
        await tell(rows, changes_between(None, run))
        return run

    async def _require_room(self, rows: Rows) -> None:
        if await rows.runs.count() >= self.limits.runs:
            raise LimitExceededError(EntityKind.RUN, self.limits.runs, "assessment runs")

    async def _new_run(self, rows: Rows, template: Template, name: str | None, now_us: int) -> Run:
        chosen = await self._free_name(rows, template, name, now_us)
        run_id = self._make_id()
        run = Run(
            id=run_id,
            name=chosen,
            duration_s=template.duration_s,
            packages=template.packages,
            created_us=now_us,
            arn=run_arn(template.arn, run_id),
            template_arn=template.arn,
            target_arn=template.target_arn,
            user_attributes=template.user_attributes,
        )
        return run.entered(RunState.CREATED, now_us)

    async def _free_name(
        self, rows: Rows, template: Template, name: str | None, now_us: int
    ) -> str:
        if name is not None:
            checked_text(name, limits.MAX_NAME, code=NAME_TAKEN, what="a run's name")
            if await rows.runs.named(template.arn, name) is not None:
                raise InvalidInputError(NAME_TAKEN, f"the template has a run named {name!r}")
            return name
        ending = f" - {_moment(now_us)}"
        number = 1
        while True:
            begin = "Run - " + template.name[: limits.MAX_NAME - len(ending) - len("Run - ")]
            if await rows.runs.named(template.arn, begin + ending) is None:
                return begin + ending
            number += 1
            ending = f" - {_moment(now_us)} ({number})"

    async def _implicit_target(self, rows: Rows, now_us: int) -> Target:
        kept = await rows.targets.named(IMPLICIT_TARGET)
        if kept is not None and kept.resource_group_arn is None:
            return kept
        name = IMPLICIT_TARGET if kept is None else f"{IMPLICIT_TARGET} (all)"
        named = await rows.targets.named(name)
        if named is not None:
            return named
        target = Target(self.arns.target(self._make_id()), name, None, now_us, now_us)
        await rows.targets.add(target)
        return target

    async def _implicit_template(
        self, rows: Rows, target: Target, run: Run, now_us: int
    ) -> Template:
        digest = hashlib.sha256("\0".join(run.packages).encode()).hexdigest()[:8]
        name = f"quick {run.duration_s} s" + (f" {digest}" if run.packages else "")
        kept = await rows.templates.named(target.arn, name)
        if kept is not None:
            return kept
        template = Template(
            arn=template_arn(target.arn, self._make_id()),
            target_arn=target.arn,
            name=name,
            duration_s=run.duration_s,
            packages=run.packages,
            created_us=now_us,
        )
        await rows.templates.add(template)
        return template


def _moment(us: int) -> str:
    text = datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{text[:-3]}Z"
