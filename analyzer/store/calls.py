"""Calls of one transaction each, the same over every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.store.telling import messages_about

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from analyzer.model import Agent, DomainEvent, Exclusion, FindingRow, Run, RunAgent, StopAction
    from analyzer.store.protocol import Rows


class StoreCalls:
    """What a store does in one step, on top of its transactions."""

    def reading(self) -> AbstractAsyncContextManager[Rows]:
        """Return a transaction that only reads."""
        raise NotImplementedError

    def writing(self) -> AbstractAsyncContextManager[Rows]:
        """Return a transaction that writes."""
        raise NotImplementedError

    async def put_agent(self, agent: Agent) -> None:
        """Insert or replace an agent."""
        async with self.writing() as rows:
            await rows.agents.put(agent)

    async def agents(self) -> list[Agent]:
        """Return every known agent, by id."""
        async with self.reading() as rows:
            return await rows.agents.all()

    async def add_run(self, run: Run) -> None:
        """Insert a new run."""
        async with self.writing() as rows:
            await rows.runs.add(run)

    async def run(self, run_id: str) -> Run | None:
        """Return a run, or None."""
        async with self.reading() as rows:
            return await rows.runs.with_id(run_id)

    async def runs(self) -> list[Run]:
        """Return every run, newest first."""
        async with self.reading() as rows:
            return await rows.runs.all()

    async def active_runs(self) -> list[Run]:
        """Return the runs that have not ended, newest first."""
        async with self.reading() as rows:
            return await rows.runs.active()

    async def save_run(
        self,
        run: Run,
        *,
        agents: Iterable[RunAgent] = (),
        exclusions: Sequence[Exclusion] = (),
        events: Sequence[DomainEvent] = (),
    ) -> None:
        """Write everything but ``stop`` of a run, and what it tells."""
        async with self.writing() as rows:
            await rows.runs.save(run)
            await rows.runs.put_agents(agents)
            if exclusions:
                await rows.exclusions.replace(run.arn, exclusions)
            await tell(rows, events)

    async def request_stop(self, run_id: str, action: StopAction) -> bool:
        """Ask for a stop of an active run."""
        async with self.writing() as rows:
            return await rows.runs.request_stop(run_id, action)

    async def finish_run(
        self,
        run: Run,
        result: bytes,
        findings: Sequence[FindingRow],
        *,
        agents: Iterable[RunAgent] = (),
        exclusions: Sequence[Exclusion] = (),
        events: Sequence[DomainEvent] = (),
    ) -> None:
        """Write the last state, what the run came to, and what it tells."""
        async with self.writing() as rows:
            await rows.runs.save(run)
            await rows.runs.put_agents(agents)
            await rows.runs.put_result(run.id, result)
            await rows.findings.replace(run, findings)
            if run.arn:
                await rows.exclusions.replace(run.arn, exclusions)
            await tell(rows, events)

    async def result(self, run_id: str) -> bytes | None:
        """Return the result document of an ended run."""
        async with self.reading() as rows:
            return await rows.runs.result(run_id)

    async def findings(self, run_id: str) -> list[FindingRow]:
        """Return a run's findings, highest severity first, then by occurrence and id."""
        async with self.reading() as rows:
            return await rows.findings.of_run(run_id)


async def tell(rows: Rows, events: Sequence[DomainEvent]) -> None:
    """Put a message into the outbox for everyone who is to be told, in the transaction."""
    if not events:
        return
    templates = {event.template_arn for event in events}
    subscribed = {arn: await rows.events.subscriptions(arn) for arn in sorted(templates) if arn}
    routes = await rows.events.routes()
    await rows.events.send(
        message
        for event in events
        for message in messages_about(event, subscribed.get(event.template_arn, []), routes)
    )
