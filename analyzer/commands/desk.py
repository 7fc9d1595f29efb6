"""What every command on a server's store begins and ends with.

In: the data folder that is meant, and what to do there. Out: what ``ending`` makes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from analyzer.arns import Arns
from analyzer.assessments import Assessments, Limits, identity_of, limits_in
from analyzer.commands.ending import finish
from analyzer.commands.options import folder_of
from analyzer.data_folder import DataFolder
from analyzer.errors import ServerMissingError
from analyzer.present.terminal import Terminal
from analyzer.runs.desk import RunDesk
from analyzer.store import Store, open_store
from analyzer.suppression.desk import SuppressionDesk
from rules.loader import Package
from rules.telemetry import Clock
from rules.telemetry.clock import SystemClock

StoreWork = Callable[[Terminal, DataFolder, Store], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Desks:
    """What can be asked and done on a store."""

    folder: DataFolder
    store: Store
    runs: RunDesk
    suppressions: SuppressionDesk
    arns: Arns
    limits: Limits
    clock: Clock

    def assessments(self, packages: Sequence[Package] = ()) -> Assessments:
        """Return the desk for targets, templates, runs and findings.

        Args:
            packages: Rules packages that new templates may name.
        """
        return Assessments(
            self.store,
            arns=self.arns,
            packages=packages,
            clock=self.clock,
            limits=self.limits,
        )


def with_desks(
    data: Path | None,
    work: Callable[[Terminal, Desks], Awaitable[int]],
    *,
    needs_server: bool = False,
) -> None:
    """Do ``work`` on everything that a data folder keeps, and exit with its code."""

    async def on_store(terminal: Terminal, folder: DataFolder, store: Store) -> int:
        clock = SystemClock()
        runs = RunDesk(store, folder, clock=clock)
        suppressions = SuppressionDesk(store, clock=clock)
        arns, limits = await identity_of(store), await limits_in(store)
        return await work(terminal, Desks(folder, store, runs, suppressions, arns, limits, clock))

    with_store(data, on_store, needs_server=needs_server)


def with_desk(
    data: Path | None,
    work: Callable[[Terminal, RunDesk], Awaitable[int]],
    *,
    needs_server: bool = False,
) -> None:
    """Do ``work`` on the runs of a data folder, and exit with its code."""

    async def on_store(terminal: Terminal, folder: DataFolder, store: Store) -> int:
        return await work(terminal, RunDesk(store, folder, clock=SystemClock()))

    with_store(data, on_store, needs_server=needs_server)


def with_store(data: Path | None, work: StoreWork, *, needs_server: bool = False) -> None:
    """Do ``work`` on the store of a data folder, and exit with its code."""

    def run(terminal: Terminal) -> int:
        folder = folder_of(data)
        return asyncio.run(_with_store(folder, terminal, work, needs_server=needs_server))

    finish(run)


async def _with_store(
    folder: DataFolder, terminal: Terminal, work: StoreWork, *, needs_server: bool
) -> int:
    if needs_server and not folder.has_server():
        raise ServerMissingError(folder.path)
    if not folder.has_store():
        raise ServerMissingError(folder.path)
    store: Store = await open_store(folder.database())
    try:
        return await work(terminal, folder, store)
    finally:
        await store.close()
