"""Rows of the agents that are known, and single values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from analyzer.model import Agent, Interface
from analyzer.store import schema
from analyzer.store.sql.session import Session, from_json, to_json

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

_agents, _settings = schema.agents, schema.settings


class SqlAgents:
    """The agents that are known."""

    def __init__(self, session: Session) -> None:
        """Use a transaction."""
        self._session = session

    async def put(self, agent: Agent) -> None:
        """Insert or replace an agent."""
        values = {
            "agent_id": agent.agent_id,
            "boot_id": agent.boot_id,
            "hostname": agent.hostname,
            "version": agent.version,
            "tags": to_json(agent.tags),
            "is_online": int(agent.is_online),
            "is_collecting": int(agent.is_collecting),
            "is_throttled": int(agent.is_throttled),
            "last_seen_us": agent.last_seen_us,
            "clock_offset_us": agent.clock_offset_us,
            "os_name": agent.os_name,
            "kernel_release": agent.kernel_release,
            "interfaces": to_json(agent.interfaces),
        }
        await self._session.upsert(_agents, values, key=["agent_id"])

    async def all(self) -> list[Agent]:
        """Return every known agent, by id."""
        rows = await self._session.rows(select(_agents).order_by(_agents.c.agent_id))
        return [_agent(row) for row in rows]


class SqlSettings:
    """Single values, as text."""

    def __init__(self, session: Session) -> None:
        """Use a transaction."""
        self._session = session

    async def get(self, name: str) -> str | None:
        """Return a value, or None."""
        value = await self._session.value(select(_settings.c.value).where(_settings.c.name == name))
        return None if value is None else str(value)

    async def put(self, name: str, value: str) -> None:
        """Insert or replace a value."""
        await self._session.upsert(_settings, {"name": name, "value": value}, key=["name"])

    async def all(self) -> dict[str, str]:
        """Return every value by its name."""
        rows = await self._session.rows(select(_settings))
        return {row["name"]: row["value"] for row in rows}


def _agent(row: RowMapping) -> Agent:
    return Agent(
        agent_id=row["agent_id"],
        boot_id=row["boot_id"],
        hostname=row["hostname"],
        version=row["version"],
        tags=from_json(row["tags"], dict[str, str]),
        is_online=bool(row["is_online"]),
        is_collecting=bool(row["is_collecting"]),
        is_throttled=bool(row["is_throttled"]),
        last_seen_us=row["last_seen_us"],
        clock_offset_us=row["clock_offset_us"],
        os_name=row["os_name"],
        kernel_release=row["kernel_release"],
        interfaces=from_json(row["interfaces"], tuple[Interface, ...]),
    )
