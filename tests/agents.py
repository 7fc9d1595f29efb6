"""Agents for tests: real but for the host they watch and the clock they may be given."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from agent.config import Settings
from agent.identity import Identity
from agent.runtime import Agent, Parts
from agent.sinks import Sink
from agent.spool import Spool
from rules.telemetry import SystemClock
from tests.collectors import ScriptedCollector

SPOOL_BYTES = 1 << 22


@asynccontextmanager
async def scripted(
    folder: Path,
    *,
    settings: Settings,
    sink: Sink,
    collector: ScriptedCollector,
    spool_bytes: int = SPOOL_BYTES,
) -> AsyncIterator[Parts]:
    """Run an agent for the length of the block, and stop it gracefully."""
    clock = SystemClock()
    spool = await asyncio.to_thread(
        Spool, folder / "spool", max_bytes=spool_bytes, max_age_s=3600, clock=clock, sync=False
    )
    identity = Identity(
        agent_id=settings.agent_id,
        boot_id=os.urandom(16).hex(),
        hostname="host",
        version="0",
        tags={},
    )
    parts = Parts(
        settings=settings,
        identity=identity,
        collector=collector,
        spool=spool,
        sink=sink,
        clock=clock,
        rng=Random(1),
    )
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(Agent(parts).run(stop))
            yield parts
            stop.set()
            await task
    finally:
        await asyncio.to_thread(spool.close)
