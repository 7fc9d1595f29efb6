"""Transactions over the state in memory."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from analyzer.store.calls import StoreCalls
from analyzer.store.memory.events import MemoryAgents, MemoryEvents, MemorySettings
from analyzer.store.memory.findings import MemoryExclusions, MemoryFindings
from analyzer.store.memory.runs import MemoryRuns
from analyzer.store.memory.schedules import MemorySchedules
from analyzer.store.memory.state import State
from analyzer.store.memory.suppressions import MemorySuppressions
from analyzer.store.memory.targets import MemoryTargets, MemoryTemplates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class MemoryRows:
    """What can be read and written in one transaction."""

    def __init__(self, state: State) -> None:
        """Use a state."""
        self.agents = MemoryAgents(state)
        self.targets = MemoryTargets(state)
        self.templates = MemoryTemplates(state)
        self.runs = MemoryRuns(state)
        self.findings = MemoryFindings(state)
        self.exclusions = MemoryExclusions(state)
        self.events = MemoryEvents(state)
        self.schedules = MemorySchedules(state)
        self.settings = MemorySettings(state)
        self.suppressions = MemorySuppressions(state)


class MemoryStore(StoreCalls):
    """Keeps everything in dictionaries; gone with the process."""

    def __init__(self) -> None:
        """Start empty."""
        self._state = State()
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[MemoryRows]:
        """Open a transaction that only reads."""
        yield MemoryRows(self._state)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[MemoryRows]:
        """Open a transaction whose changes stand when its block ends, or not at all."""
        async with self._turn:
            draft = self._state.copy()
            yield MemoryRows(draft)
            self._state = draft

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""
