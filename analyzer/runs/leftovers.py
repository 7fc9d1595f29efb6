"""Leftovers: telemetry and reports of runs that are no longer in the store.

In: the data folder and the store. Out: their folders, removed. Whoever deletes runs deletes rows
alone, in one transaction; what lies on the disk goes here, soon after.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from analyzer.errors import StoreError

if TYPE_CHECKING:
    from analyzer.data_folder import DataFolder
    from analyzer.store import Store

log = logging.getLogger(__name__)

SWEEP_S: Final = 600.0  # between two looks of a server


async def remove_leftovers(store: Store, folder: DataFolder) -> int:
    """Remove the folders of deleted runs; return how many. A run's row is there before its folder.

    Raises:
        StoreError: The store cannot be read.
    """
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
        except StoreError as error:
            log.warning("leftovers.unread", extra={"reason": str(error)})
        else:
            if removed:
                log.info("leftovers.removed", extra={"folders": removed})
        await asyncio.sleep(SWEEP_S)


def _below(folders: list[Path]) -> list[Path]:
    return [
        path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.is_dir()
    ]
