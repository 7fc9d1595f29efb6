from pathlib import Path

import pytest

from analyzer.data_folder import DataFolder
from analyzer.errors import DataFolderError


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    made.create()
    return made


def test_store_is_a_file_of_the_folder(folder: DataFolder) -> None:
    assert not folder.has_store()
    assert folder.database() == folder.store


def test_database_is_noted_for_its_owner_alone(folder: DataFolder) -> None:
    folder.note_database("postgresql://proctor@db/proctor")
    assert folder.has_store()
    assert folder.database() == "postgresql://proctor@db/proctor"
    assert folder.database_note.stat().st_mode & 0o777 == 0o600
    folder.note_database("postgresql://proctor@other/proctor")
    assert folder.database() == "postgresql://proctor@other/proctor"


def test_store_that_is_there_is_not_left_behind(folder: DataFolder) -> None:
    folder.store.touch()
    with pytest.raises(DataFolderError, match="is the store of this folder already"):
        folder.note_database("postgresql://proctor@db/proctor")


def test_note_that_cannot_be_written_or_read_is_named(folder: DataFolder) -> None:
    folder.database_note.mkdir()
    with pytest.raises(DataFolderError, match="cannot write"):
        folder.note_database("postgresql://proctor@db/proctor")
    with pytest.raises(DataFolderError, match="cannot read"):
        folder.database()
