"""Run records: what the store is told of runs that are under way.

In: a run's next state, the agents that are known, what came of telemetry. Out: in one transaction
the run, its hosts as it sees them, and messages about what happened since it was written last. What
was written is told once, whatever ends the process in between.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from analyzer.assessments import changes_between, outcome_of
from analyzer.model import RunState
from analyzer.results.exclusions import numbered, of_failure, of_hosts
from analyzer.store import tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analyzer.arns import Arns
    from analyzer.model import Agent, Exclusion, MessageCount, Run, RunAgent
    from analyzer.runs.verdict import Finished
    from analyzer.store import Rows, Store
    from rules.loader import Package

HOSTS_US: Final = 10_000_000  # how often health and telemetry of a run's hosts are written


class RunRecords:
    """Writes runs that are under way."""

    def __init__(self, store: Store, *, arns: Arns) -> None:
        """Write to a store; rules packages are named by ``arns``."""
        self._store = store
        self._arns = arns
        self._saved: dict[str, Run] = {}
        self._hosts: dict[str, dict[str, RunAgent]] = {}
        self._hosts_us: dict[str, int] = {}

    async def take_up(self, run: Run) -> None:
        """Begin with a run as the store has it."""
        hosts: list[RunAgent] = []
        if run.arn:
            async with self._store.reading() as rows:
                hosts = await rows.runs.agents(run.arn)
        self._saved[run.id] = run
        self._hosts[run.id] = {host.agent_id: host for host in hosts}

    def set_hosts(self, run: Run, hosts: Iterable[RunAgent]) -> None:
        """Note the hosts of a run that begins, unless it was started with them."""
        kept = self._hosts.get(run.id, {}).values()
        is_settled = any(host.is_assessed for host in kept)
        if run.arn and not is_settled:
            self._hosts[run.id] = {host.agent_id: host for host in hosts}

    def hosts(self, run_id: str) -> list[RunAgent]:
        """Return the hosts of a run's target, by id; none of a run without ARN."""
        return [host for _, host in sorted(self._hosts.get(run_id, {}).items())]

    def see(
        self,
        run: Run,
        agents: Mapping[str, Agent],
        telemetry: Mapping[str, Mapping[str, MessageCount]],
        now_us: int,
    ) -> None:
        """Take in how the hosts that a run assesses are now, and what came of them."""
        if not run.arn:
            return
        for agent_id, host in self._hosts.get(run.id, {}).items():
            agent = agents.get(agent_id)
            if host.is_assessed and agent is not None:
                self._hosts[run.id][agent_id] = replace(
                    host,
                    code=agent.code(now_us),
                    details=agent.details(now_us),
                    telemetry=dict(telemetry.get(agent_id, host.telemetry)),
                )

    async def save(self, run: Run, now_us: int) -> None:
        """Write a run whose state or progress has changed."""
        before = self._saved.get(run.id)
        if before == run:
            return
        has_moved = before is None or before.state is not run.state
        is_due = now_us - self._hosts_us.get(run.id, 0) >= HOSTS_US
        hosts = self.hosts(run.id) if has_moved or is_due else []
        await self._store.save_run(run, agents=hosts, events=changes_between(before, run))
        self._saved[run.id] = run
        if hosts:
            self._hosts_us[run.id] = now_us

    async def write(self, rows: Rows, run: Run) -> None:
        """Write a run that has moved within a transaction; ``wrote`` is to follow it."""
        await rows.runs.save(run)
        await rows.runs.put_agents(self.hosts(run.id))
        await tell(rows, changes_between(self._saved.get(run.id), run))

    def wrote(self, run: Run, now_us: int) -> None:
        """Note that a run stands in the store with its hosts."""
        self._saved[run.id] = run
        self._hosts_us[run.id] = now_us

    async def finish(self, done: Finished, packages: Iterable[Package]) -> None:
        """Write a run that was judged, and what it came to."""
        run = done.run
        counts = {self._arns.rules_package(package.id): 0 for package in packages}
        for finding in done.findings:
            counts[self._arns.rules_package(finding.package)] += 1
        outcome = outcome_of(run, done.findings, counts)
        moved = changes_between(self._saved.get(run.id), run)
        await self._store.finish_run(
            run,
            done.document,
            done.findings,
            agents=self.hosts(run.id),
            exclusions=done.exclusions,
            events=[*outcome[:-1], *moved, *outcome[-1:]],  # completed is the last word
        )

    async def end(self, run: Run) -> None:
        """Write a run that ended without being judged."""
        exclusions: list[Exclusion] = []
        if run.state in (RunState.FAILED, RunState.ERROR):
            hosts = self.hosts(run.id)
            begun = run.started_us is not None
            exclusions = [*(of_hosts(hosts) if hosts or not begun else ()), *of_failure(run)]
        await self._store.save_run(
            run,
            agents=self.hosts(run.id),
            exclusions=numbered(run, exclusions),
            events=changes_between(self._saved.get(run.id), run),
        )

    def forget(self, run_id: str) -> None:
        """Forget a run that has ended."""
        for kept in (self._saved, self._hosts, self._hosts_us):
            kept.pop(run_id, None)
