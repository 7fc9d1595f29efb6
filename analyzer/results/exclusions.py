"""Exclusions: what a run did not assess or judge, and why.

In: the hosts of a run's target, and its result. Out: exclusions for hosts that could not be
assessed, hosts that went silent, and rules packages of which some rule was not evaluated on a host.
Pure. There is no code in an exclusion: clients tell them apart by their titles, so these never
change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from analyzer.arns import stable_id
from analyzer.model import ABSENT_PACKAGES, Exclusion, HealthCode, Scope, Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from analyzer.model import Run, RunAgent
    from analyzer.results.document import OutcomeResult, Result
    from rules.loader import Package

NO_INSTANCES: Final = "No instances in assessment target"
BUSY: Final = "Agent is already running"
UNKNOWN: Final = "Agent not found"
UNHEALTHY: Final = "Agent unhealthy"
SILENT: Final = "Agent sent no telemetry up to the end"
NOT_EVALUATED: Final = "Rules not evaluated on instance"
FAILED: Final = "Rules evaluation error"
ABSENT: Final = "Rules package not available"
_MAX_NAMED: Final = 20  # rules that an exclusion lists as attributes
_MAX_VALUE: Final = 256


def of_hosts(agents: Iterable[RunAgent], *, busy: Iterable[str] = ()) -> list[Exclusion]:
    """Return what is excluded of a target before a run of it begins.

    Args:
        agents: Every host that the target selects.
        busy: Those of them that are in another run.
    """
    hosts = list(agents)
    if not hosts:
        return [
            Exclusion(
                title=NO_INSTANCES,
                description="No agent that is known has a tag of the target's resource group.",
                recommendation=(
                    "Start proctor-agent on the hosts, with the tags that the resource group names."
                ),
                scopes=(Scope("INSTANCE_ID", "*"),),
            )
        ]
    taken = frozenset(busy)
    return [
        _of_host(agent, taken)
        for agent in hosts
        if agent.agent_id in taken or not agent.is_assessed
    ]


def of_result(
    result: Result, packages: Sequence[Package], *, silent: Iterable[str]
) -> list[Exclusion]:
    """Return what an ended run could not judge.

    Args:
        result: What it came to.
        packages: What it was judged by.
        silent: Hosts whose telemetry did not reach the end.
    """
    gone = [
        _host(
            SILENT,
            agent_id,
            "Its telemetry did not reach the end of the run; what is missing was not evaluated.",
            "See 'proctor-agent status' on the host, and its connection to the broker.",
        )
        for agent_id in sorted(silent)
    ]
    return [*gone, *_of_packages(result, packages)]


def of_packages(packages: Iterable[str]) -> list[Exclusion]:
    """Return what is excluded because Proctor has no such rules package."""
    return [
        Exclusion(
            title=ABSENT,
            description=(
                f"{absent.title} is not part of Proctor: nothing of it is evaluated. That is not "
                "the same as clean."
            ),
            recommendation=f"{absent.instead} Or take the rules package out of the template.",
            scopes=(Scope("RULES_PACKAGE_ARN", package_id),),
        )
        for package_id in packages
        if (absent := ABSENT_PACKAGES.get(package_id)) is not None
    ]


def of_failure(run: Run) -> list[Exclusion]:
    """Return what a run that failed as a whole could not judge."""
    return [
        Exclusion(
            title=FAILED,
            description=run.message[:20_000] or "The run failed.",
            recommendation="See the message of the run and the log of the server.",
            scopes=tuple(Scope("RULES_PACKAGE_ARN", package) for package in run.packages)
            or (Scope("INSTANCE_ID", "*"),),
        )
    ]


def numbered(run: Run, exclusions: Iterable[Exclusion]) -> list[Exclusion]:
    """Return exclusions as those of a run, with ids that are the same whenever they are made."""
    if not run.arn:
        return []
    return [
        replace(
            item,
            id=stable_id("exclusion", item.title, *(scope.value for scope in item.scopes)),
            run_arn=run.arn,
        )
        for item in exclusions
    ]


def _of_host(agent: RunAgent, busy: frozenset[str]) -> Exclusion:
    if agent.agent_id in busy:
        return _host(
            BUSY,
            agent.agent_id,
            "The agent is in another assessment run.",
            "Stop the other run, or wait for its end.",
        )
    if agent.code is HealthCode.UNKNOWN:
        title, what = UNKNOWN, "Nothing has been heard of the agent for a day."
    else:
        title, what = UNHEALTHY, f"The agent was not healthy: {agent.details}"
    remedy = "Start proctor-agent on the host and see 'proctor-agent status' there."
    return _host(title, agent.agent_id, what, remedy)


def _host(title: str, agent_id: str, description: str, recommendation: str) -> Exclusion:
    return Exclusion(
        title=title,
        description=description,
        recommendation=recommendation,
        scopes=(Scope("INSTANCE_ID", agent_id),),
        attributes=(Tag("INSTANCE_ID", agent_id),),
    )


def _of_packages(result: Result, packages: Sequence[Package]) -> Iterator[Exclusion]:
    package_of = {rule.id: package.id for package in packages for rule in package.rules}
    missed: dict[tuple[str, str], list[OutcomeResult]] = {}
    for outcome in result.outcomes:
        if outcome.outcome == "not_evaluated":
            key = (outcome.agent_id, package_of[outcome.rule])
            missed.setdefault(key, []).append(outcome)
    for (agent_id, package), outcomes in sorted(missed.items()):
        yield Exclusion(
            title=NOT_EVALUATED,
            description=(
                f"{len(outcomes)} rules of {package} were not evaluated on {agent_id}: their "
                "telemetry was not watched, or not for long enough. That is not the same as clean."
            ),
            recommendation=(
                "See 'proctor-agent doctor' on the host for what it cannot watch, and why."
            ),
            scopes=(Scope("INSTANCE_ID", agent_id), Scope("RULES_PACKAGE_ARN", package)),
            attributes=(
                Tag("INSTANCE_ID", agent_id),
                *(
                    Tag(outcome.rule, (outcome.reason or "not evaluated")[:_MAX_VALUE])
                    for outcome in outcomes[:_MAX_NAMED]
                ),
            ),
        )
