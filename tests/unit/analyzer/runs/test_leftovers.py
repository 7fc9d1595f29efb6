import asyncio
from pathlib import Path

import pytest

from analyzer.data_folder import DataFolder
from analyzer.errors import DataFolderError, StoreError
from analyzer.model import Run
from analyzer.runs import leftovers
from analyzer.runs.leftovers import keep_removing, remove_leftovers, take_possession
from analyzer.store import MemoryStore


def fill(folder: DataFolder) -> None:
    for name in ("0-kept", "0-gone"):
        for parent in (folder.runs, folder.reports):
            (parent / name).mkdir(parents=True)
            (parent / name / "file").write_text("x")
    (folder.runs / "a file").write_text("x")


def left(folder: DataFolder) -> list[str]:
    return sorted(
        str(path.relative_to(folder.path))
        for parent in (folder.runs, folder.reports)
        for path in parent.iterdir()
    )


@pytest.fixture
async def store() -> MemoryStore:
    made = MemoryStore()
    await made.add_run(Run("0-kept", "t", 60, (), 1))
    return made


async def test_folders_of_deleted_runs_go(store: MemoryStore, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert await remove_leftovers(store, folder) == 0
    await asyncio.to_thread(fill, folder)
    assert await remove_leftovers(store, folder) == 2
    kept = await asyncio.to_thread(left, folder)
    assert kept == ["reports/0-kept", "runs/0-kept", "runs/a file"]


async def test_runs_of_another_store_are_left_alone(store: MemoryStore, tmp_path: Path) -> None:
    """A server that is started with another database, or none, must not delete telemetry."""
    folder = DataFolder(tmp_path)
    assert await take_possession(store, folder)
    await asyncio.to_thread(fill, folder)
    other = MemoryStore()
    assert not await take_possession(other, folder)
    assert await remove_leftovers(other, folder) == 0
    assert len(await asyncio.to_thread(left, folder)) == 5
    assert await take_possession(store, folder)
    assert await remove_leftovers(store, folder) == 2


async def test_folder_that_cannot_be_read_is_an_error(store: MemoryStore, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    await asyncio.to_thread(folder.owner_note.mkdir)
    with pytest.raises(DataFolderError, match="cannot read"):
        await remove_leftovers(store, folder)


async def test_store_that_cannot_be_read_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tries = asyncio.Semaphore(0)

    async def fail(*_: object) -> int:
        tries.release()
        raise StoreError("locked")

    monkeypatch.setattr(leftovers, "remove_leftovers", fail)
    monkeypatch.setattr(leftovers, "SWEEP_S", 0.0)
    task = asyncio.create_task(keep_removing(MemoryStore(), DataFolder(tmp_path)))
    await tries.acquire()
    await tries.acquire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
