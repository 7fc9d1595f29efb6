"""Rows of assessment runs and their result documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from analyzer.errors import StoreError
from analyzer.model import JUDGED, HealthCode, Progress, Run, RunAgent, RunState, StateChange, Tag
from analyzer.model.runs import MessageCount
from analyzer.store import schema
from analyzer.store.sql.session import Session, from_json, older, to_json, within
from analyzer.store.sql.targets import names_any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, RowMapping

    from analyzer.model import RunAgentFilter, RunFilter, StopAction
    from analyzer.store.protocol import Placed, Position

_runs, _agents, _results = schema.runs, schema.run_agents, schema.results
# The states are named, and not those that are excluded, so that the index on them serves.
_IS_ACTIVE = _runs.c.state.in_([state.value for state in RunState if not state.is_final])
_HAS_ENDED = _runs.c.state.in_([state.value for state in RunState if state.is_final])
_IS_JUDGED = _runs.c.state.in_([state.value for state in JUDGED])
_LAST_CHARACTER = "\U0010ffff"  # stands behind whatever an id may go on with
_BY_TIME = (_runs.c.created_us.desc(), _runs.c.seq.desc())


class SqlRuns:
    """Assessment runs, their agents and result documents."""

    def __init__(self, session: Session) -> None:
        """Use a transaction."""
        self._session = session

    async def add(self, run: Run) -> None:
        """Insert a new run."""
        try:
            await self._session.write(
                insert(_runs).values(id=run.id, stop=run.stop, **_values(run))
            )
        except IntegrityError as error:
            raise StoreError(f"run {run.id} exists already") from error

    async def get(self, arn: str) -> Run | None:
        """Return the run of an ARN, or None."""
        return await self._first(_runs.c.arn == arn)

    async def with_id(self, run_id: str) -> Run | None:
        """Return the run of an id, or None."""
        return await self._first(_runs.c.id == run_id)

    async def named(self, template_arn: str, name: str) -> Run | None:
        """Return the template's newest run of a name, or None."""
        return await self._first(_runs.c.template_arn == template_arn, _runs.c.name == name)

    async def all(self) -> list[Run]:
        """Return every run, newest first."""
        return [_run(row) for row in await self._session.rows(select(_runs).order_by(*_BY_TIME))]

    async def newest(self, *, id_start: str = "", limit: int) -> list[Run]:
        """Return up to ``limit`` runs whose ids start so, newest first."""
        statement = select(_runs).order_by(*_BY_TIME).limit(limit)
        if id_start:  # as a range of texts, for which the index on ids serves
            is_so = (_runs.c.id >= id_start, _runs.c.id < id_start + _LAST_CHARACTER)
            statement = statement.where(*is_so)
        return [_run(row) for row in await self._session.rows(statement)]

    async def judged_before(self, run: Run) -> Run | None:
        """Return the newest judged run before this one that is comparable with it, or None."""
        is_alike = (
            _runs.c.template_arn == run.template_arn
            if run.template_arn
            else _runs.c.packages == to_json(run.packages)
        )
        is_before = tuple_(_runs.c.created_us, _runs.c.id) < tuple_(run.created_us, run.id)
        statement = select(_runs).where(_IS_JUDGED, is_alike, is_before)
        row = await self._session.row(statement.order_by(*_BY_TIME).limit(1))
        return None if row is None else _run(row)

    async def newest_judged(self) -> list[Run]:
        """Return the newest judged run of each template and packages, oldest first."""
        kind = (_runs.c.template_arn, _runs.c.packages)
        place = func.row_number().over(partition_by=kind, order_by=_BY_TIME).label("place")
        placed = select(_runs.c.seq, place).where(_IS_JUDGED).subquery()
        statement = select(_runs).join(placed, placed.c.seq == _runs.c.seq)
        ordered = statement.where(placed.c.place == 1).order_by(_runs.c.created_us, _runs.c.seq)
        return [_run(row) for row in await self._session.rows(ordered)]

    async def ended_since(self, since_us: int) -> list[str]:
        """Return ids of ended runs whose interval reaches a moment, or that were made since."""
        reached_us = func.coalesce(_runs.c.to_us, _runs.c.created_us)
        statement = select(_runs.c.id).where(_HAS_ENDED, reached_us >= since_us)
        ordered = statement.order_by(*_BY_TIME)
        return [row["id"] for row in await self._session.rows(ordered)]

    async def active(self, *, within: str = "") -> list[Run]:
        """Return the runs that have not ended, newest first; those in a target or template."""
        statement = select(_runs).where(_IS_ACTIVE).order_by(*_BY_TIME)
        if within:
            lies_in = or_(_runs.c.template_arn == within, _runs.c.target_arn == within)
            statement = statement.where(lies_in)
        return [_run(row) for row in await self._session.rows(statement)]

    async def save(self, run: Run) -> None:
        """Write everything but ``stop`` of a run that exists."""
        statement = update(_runs).where(_runs.c.id == run.id).values(**_values(run))
        if not await self._session.write(statement):
            raise StoreError(f"run {run.id} does not exist")

    async def request_stop(self, run_id: str, action: StopAction) -> bool:
        """Ask for a stop of an active run."""
        statement = update(_runs).where(_runs.c.id == run_id, _IS_ACTIVE).values(stop=action)
        return bool(await self._session.write(statement))

    async def delete(self, arn: str) -> None:
        """Delete a run with its agents, result, findings and exclusions."""
        await self._session.write(delete(_runs).where(_runs.c.arn == arn))

    async def page(
        self, what: RunFilter, *, after: Position | None, limit: int
    ) -> list[Placed[Run]]:
        """Return up to ``limit`` runs that have an ARN, after a position."""
        statement = select(_runs).where(_runs.c.arn.is_not(None), *self._conditions(what))
        if after is not None:
            statement = statement.where(older([_runs.c.seq], after))
        ordered = statement.order_by(_runs.c.seq.desc()).limit(limit)
        return [((row["seq"],), _run(row)) for row in await self._session.rows(ordered)]

    async def count(self) -> int:
        """Return how many runs there are."""
        return int(await self._session.value(select(func.count()).select_from(_runs)))

    async def put_agents(self, agents: Iterable[RunAgent]) -> None:
        """Insert or replace agents of runs."""
        rows = [_agent_values(agent) for agent in agents]
        await self._session.upsert_all(_agents, rows, key=["run_arn", "agent_id"])

    async def agents(self, run_arn: str) -> list[RunAgent]:
        """Return the agents of a run, by id."""
        statement = select(_agents).where(_agents.c.run_arn == run_arn)
        ordered = statement.order_by(_agents.c.agent_id)
        return [_agent(row) for row in await self._session.rows(ordered)]

    async def agent_page(
        self, run_arn: str, what: RunAgentFilter, *, after: str, limit: int
    ) -> list[RunAgent]:
        """Return up to ``limit`` agents of a run whose ids are above ``after``, by id."""
        statement = select(_agents).where(_agents.c.run_arn == run_arn, _agents.c.agent_id > after)
        if what.healths:
            codes = [code.value for code in HealthCode if code.health in what.healths]
            statement = statement.where(_agents.c.code.in_(codes))
        if what.codes:
            statement = statement.where(_agents.c.code.in_([code.value for code in what.codes]))
        ordered = statement.order_by(_agents.c.agent_id).limit(limit)
        return [_agent(row) for row in await self._session.rows(ordered)]

    async def put_result(self, run_id: str, document: bytes) -> None:
        """Insert or replace the result document of a run."""
        await self._session.upsert(_results, {"run_id": run_id, "body": document}, key=["run_id"])

    async def result(self, run_id: str) -> bytes | None:
        """Return the result document of an ended run."""
        body = await self._session.value(select(_results.c.body).where(_results.c.run_id == run_id))
        return None if body is None else bytes(body)

    async def _first(self, *conditions: ColumnElement[bool]) -> Run | None:
        statement = select(_runs).where(*conditions).order_by(_runs.c.seq.desc()).limit(1)
        row = await self._session.row(statement)
        return None if row is None else _run(row)

    def _conditions(self, what: RunFilter) -> list[ColumnElement[bool]]:
        conditions = [
            *within(_runs.c.duration_s, what.duration_s),
            *within(_runs.c.started_us, what.started_us),
            *within(_runs.c.completed_us, what.completed_us),
            *within(_runs.c.state_changed_us, what.state_changed_us),
        ]
        if what.template_arns:
            conditions.append(_runs.c.template_arn.in_(what.template_arns))
        if what.name_pattern is not None:
            conditions.append(self._session.matches(_runs.c.name, what.name_pattern))
        if what.states:
            conditions.append(_runs.c.state.in_([state.value for state in what.states]))
        if what.packages:
            conditions.append(names_any(_runs.c.packages, what.packages))
        return conditions


def _values(run: Run) -> dict[str, Any]:
    return {
        "arn": run.arn or None,
        "template_arn": run.template_arn or None,
        "target_arn": run.target_arn or None,
        "name": run.name,
        "duration_s": run.duration_s,
        "packages": to_json(run.packages),
        "created_us": run.created_us,
        "state": run.state.value,
        "from_us": run.from_us,
        "to_us": run.to_us,
        "started_us": run.started_us,
        "completed_us": run.completed_us,
        "state_changed_us": run.state_changed_us,
        "agents": to_json(run.agents),
        "changes": to_json(run.changes),
        "message": run.message,
        "progress": to_json(run.progress),
        "selector": to_json(run.selector),
        "user_attributes": to_json(run.user_attributes),
    }


def _run(row: RowMapping) -> Run:
    return Run(
        id=row["id"],
        name=row["name"],
        duration_s=row["duration_s"],
        packages=from_json(row["packages"], tuple[str, ...]),
        created_us=row["created_us"],
        state=RunState(row["state"]),
        from_us=row["from_us"],
        to_us=row["to_us"],
        agents=from_json(row["agents"], tuple[str, ...]),
        changes=from_json(row["changes"], tuple[StateChange, ...]),
        stop=row["stop"],
        message=row["message"],
        progress=from_json(row["progress"], Progress),
        arn=row["arn"] or "",
        template_arn=row["template_arn"] or "",
        target_arn=row["target_arn"] or "",
        selector=from_json(row["selector"], tuple[Tag, ...]),
        user_attributes=from_json(row["user_attributes"], tuple[Tag, ...]),
    )


def _agent_values(agent: RunAgent) -> dict[str, Any]:
    return {
        "run_arn": agent.run_arn,
        "agent_id": agent.agent_id,
        "code": agent.code.value,
        "details": agent.details,
        "is_assessed": int(agent.is_assessed),
        "hostname": agent.hostname,
        "auto_scaling_group": agent.auto_scaling_group,
        "tags": to_json(agent.tags),
        "telemetry": to_json(agent.telemetry),
    }


def _agent(row: RowMapping) -> RunAgent:
    return RunAgent(
        run_arn=row["run_arn"],
        agent_id=row["agent_id"],
        code=HealthCode(row["code"]),
        details=row["details"],
        is_assessed=bool(row["is_assessed"]),
        hostname=row["hostname"],
        auto_scaling_group=row["auto_scaling_group"],
        tags=from_json(row["tags"], dict[str, str]),
        telemetry=from_json(row["telemetry"], dict[str, MessageCount]),
    )
