"""A store with one ended run of three hosts, for servers that are asked about it.

Comes in: a data folder. Goes out: ARNs of what is in it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from analyzer.arns import Arns, finding_arn, run_arn, template_arn
from analyzer.data_folder import DataFolder
from analyzer.model import (
    Agent,
    Exclusion,
    FindingRow,
    HealthCode,
    MessageCount,
    Run,
    RunAgent,
    RunState,
    Scope,
    Tag,
    Target,
    Template,
)
from analyzer.store import Store, open_store

S = 1_000_000
START_US = 1_767_323_045 * S
HOSTS = ("i-1", "i-2", "i-3")
SEVERITIES = {"High": 9, "Medium": 6, "Low": 3, "Informational": 0}
PACKAGE = "runtime-behavior"
STATES = tuple(RunState)[:8]  # up to EVALUATING_RULES


@dataclass(frozen=True)
class Seeded:
    """ARNs of what the store holds."""

    target: str
    template: str
    run: str
    findings: tuple[str, ...]


def seed(folder: DataFolder) -> Seeded:
    """Fill the store of a data folder that no server uses yet."""
    folder.create()
    return asyncio.run(_seed(folder))


async def _seed(folder: DataFolder) -> Seeded:
    store = await open_store(folder.store)
    try:
        return await fill(store)
    finally:
        await store.close()


async def fill(store: Store) -> Seeded:
    """Fill an empty store."""
    target = Arns().target("0-AAAAAAAA")
    template = template_arn(target, "0-BBBBBBBB")
    run = _run(target, template)
    rows = [_finding(run.arn, number) for number in range(5)]
    exclusions = [_exclusion(run.arn, number) for number in range(3)]
    async with store.writing() as writing:
        await writing.targets.add(Target(target, "seeded", None, START_US, START_US))
        await writing.templates.add(
            Template(
                arn=template,
                target_arn=target,
                name="seeded",
                duration_s=180,
                packages=(PACKAGE,),
                created_us=START_US,
            )
        )
        await writing.runs.add(run)
    agents = [_agent(run.arn, host) for host in HOSTS]
    await store.finish_run(run, b"{}", rows, agents=agents, exclusions=exclusions)
    for host in HOSTS:
        await store.put_agent(Agent(host, "b", f"host-{host}", "1", {}, False, False, START_US))  # noqa: FBT003
    findings = tuple(finding_arn(run.arn, row.id) for row in rows)
    return Seeded(target, template, run.arn, findings)


def _run(target: str, template: str) -> Run:
    run = Run(
        id="0-CCCCCCCC",
        name="seeded",
        duration_s=180,
        packages=(PACKAGE,),
        created_us=START_US,
        from_us=START_US,
        to_us=START_US + 180 * S,
        agents=HOSTS,
        arn=run_arn(template, "0-CCCCCCCC"),
        template_arn=template,
        target_arn=target,
    )
    for number, state in enumerate((*STATES, RunState.COMPLETED)):
        run = run.entered(state, START_US + number * S)
    return run


def _agent(run: str, host: str) -> RunAgent:
    return RunAgent(
        run_arn=run,
        agent_id=host,
        code=HealthCode.RUNNING,
        hostname=f"host-{host}",
        telemetry={"InspectorTcpV4Connection": MessageCount(3, 651)},
    )


def _finding(run: str, number: int) -> FindingRow:
    severity = list(SEVERITIES)[number % len(SEVERITIES)]
    at_us = START_US + 9 * S + number
    return FindingRow(
        id=f"0-FFFFFFF{number}",
        run_arn=run,
        package=PACKAGE,
        rule=f"rule-{number}",
        agent_id=HOSTS[number % len(HOSTS)],
        severity=severity,
        numeric_severity=SEVERITIES[severity],
        title=f"Host {number} did something",
        attributes=(Tag("PORT", str(20 + number)),),
        created_us=at_us,
        updated_us=at_us,
        occurrence_id=f"{number:032}",
        issue_id="issue",
    )


def _exclusion(run: str, number: int) -> Exclusion:
    return Exclusion(
        title="Agent not found",
        description="The agent was silent.",
        recommendation="Start it.",
        scopes=(Scope("INSTANCE_ID", HOSTS[number]),),
        id=f"0-EEEEEEE{number}",
        run_arn=run,
    )
