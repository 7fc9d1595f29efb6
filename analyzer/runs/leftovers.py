"""Leftovers: telemetry and reports of runs that are no longer in the store.

In: the data folder and the store. Out: their folders, removed. Whoever deletes runs deletes rows
alone, in one transaction; what lies on the disk goes here, soon after. A folder whose runs are
another store's is left alone: that store may come back.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from analyzer.assessments import give_id, id_in
from analyzer.errors import AnalyzerError, DataFolderError

if TYPE_CHECKING:
    from analyzer.data_folder import DataFolder
    from analyzer.store import Store

log = logging.getLogger(__name__)

SWEEP_S: Final = 600.0  # between two looks of a server


async def take_possession(store: Store, folder: DataFolder) -> bool:
    """Let a data folder belong to a store for ever; return whether it does.

    Raises:
        AnalyzerError: The store or the folder cannot be used.
    """
    store_id = await give_id(store)
    if await asyncio.to_thread(folder.owner) is None:
        await asyncio.to_thread(folder.note_owner, store_id)
    return await _is_own(store, folder)


async def remove_leftovers(store: Store, folder: DataFolder) -> int:
    """Remove the folders of deleted runs; return how many. A run's row is there before its folder.

    Raises:
        AnalyzerError: The store or the folder cannot be read.
    """
    if not await _is_own(store, folder):
        return 0
    removed = 0
    for path in await asyncio.to_thread(_below, [folder.runs, folder.reports]):
        if await store.run(path.name) is None:
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
            removed += 1
    return removed


async def keep_removing(store: Store, folder: DataFolder) -> None:
    """Remove leftovers now and then, until cancelled."""
    while True:
        try:
            removed = await remove_leftovers(store, folder)
        except AnalyzerError as error:
            log.warning("leftovers.unread", extra={"reason": str(error)})
        else:
            if removed:
                log.info("leftovers.removed", extra={"folders": removed})
        await asyncio.sleep(SWEEP_S)


async def _is_own(store: Store, folder: DataFolder) -> bool:
    owner = await asyncio.to_thread(folder.owner)
    return owner is None or owner == await id_in(store)


def _below(folders: list[Path]) -> list[Path]:
    try:
        return [
            path
            for folder in folders
            if folder.is_dir()
            for path in sorted(folder.iterdir())
            if path.is_dir()
        ]
    except OSError as error:
        raise DataFolderError(f"cannot look through the data folder: {error}") from error
