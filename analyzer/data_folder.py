"""The data folder of a server: what is where in it, and that only one server uses it.

In: a path. Out: the paths of its parts, a lock held while the server runs, and a note for other
commands of where the broker listens.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from analyzer.errors import DataFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER_MODE = 0o700  # telemetry names processes and peers: nobody else's business


class ServerNote(msgspec.Struct, frozen=True, kw_only=True):
    """What a running server tells other commands on the same host."""

    pid: int
    broker_url: str
    api_url: str = ""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A data folder; nothing is made before ``create`` or ``locked``."""

    path: Path

    @property
    def store(self) -> Path:
        """Return the file of the store that lies in the folder."""
        return self.path / "proctor.db"

    @property
    def database_note(self) -> Path:
        """Return the file with the URL of a database that is used instead; may name a password."""
        return self.path / "database"

    def database(self) -> Path | str:
        """Return where the store is: a file, or the URL that was noted.

        Raises:
            DataFolderError: The note cannot be read.
        """
        try:
            return self.database_note.read_text(encoding="utf-8").strip() or self.store
        except FileNotFoundError:
            return self.store
        except (OSError, UnicodeDecodeError) as error:
            raise DataFolderError(f"cannot read {self.database_note}: {error}") from error

    def note_database(self, url: str) -> None:
        """Keep the store in another database from now on; readable by the folder's owner only.

        Raises:
            DataFolderError: It cannot be noted, or there is a store in the folder already.
        """
        if self.store.exists():
            raise DataFolderError(
                f"{self.store} is the store of this folder already; name another folder with "
                "--data, or leave --database out"
            )
        draft = self.database_note.with_suffix(".new")
        try:
            file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "w", encoding="utf-8") as text:
                text.write(f"{url}\n")
            draft.replace(self.database_note)
        except OSError as error:
            raise DataFolderError(f"cannot write {self.database_note}: {error.strerror}") from error

    def has_store(self) -> bool:
        """Tell whether a server has made its store here, or noted where it is."""
        return self.store.exists() or self.database_note.exists()

    @property
    def owner_note(self) -> Path:
        """Return the file with the id of the store whose runs the folder holds."""
        return self.path / "store.id"

    def owner(self) -> str | None:
        """Return the id of the store whose runs the folder holds; None = nobody has said.

        Raises:
            DataFolderError: The note cannot be read.
        """
        try:
            return self.owner_note.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise DataFolderError(f"cannot read {self.owner_note}: {error}") from error

    def note_owner(self, store_id: str) -> None:
        """Say whose runs the folder holds.

        Raises:
            DataFolderError: It cannot be noted.
        """
        draft = self.owner_note.with_suffix(".new")
        try:
            draft.write_text(f"{store_id}\n", encoding="ascii")
            draft.replace(self.owner_note)
        except OSError as error:
            raise DataFolderError(f"cannot write {self.owner_note}: {error.strerror}") from error

    @property
    def runs(self) -> Path:
        """Return the folder that has one folder per run."""
        return self.path / "runs"

    @property
    def broker(self) -> Path:
        """Return the embedded broker's folder."""
        return self.path / "broker"

    @property
    def credentials(self) -> Path:
        """Return the file of access keys, in AWS's shared-credentials format."""
        return self.path / "credentials"

    @property
    def audit(self) -> Path:
        """Return the file with one line per call of the API."""
        return self.path / "audit.ndjson"

    @property
    def reports(self) -> Path:
        """Return the folder that has one folder per run with its reports."""
        return self.path / "reports"

    @property
    def report_key(self) -> Path:
        """Return the file whose bytes addresses of reports are signed with."""
        return self.path / "report.key"

    @property
    def note(self) -> Path:
        """Return the file that says where the running server's broker listens."""
        return self.path / "server.json"

    def create(self) -> None:
        """Make the folder if it is missing, readable by its owner only.

        Raises:
            DataFolderError: It cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        except OSError as error:
            raise DataFolderError(
                f"cannot make the data folder {self.path}: {error.strerror}; name another one "
                "with --data"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one server.

        Raises:
            DataFolderError: Another server holds it, or it cannot be written.
        """
        self.create()
        file = self._open_lock()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(file)
            raise DataFolderError(
                f"another server uses {self.path}; stop it first, or name another folder with "
                "--data"
            ) from error
        try:
            yield
        finally:
            self.note.unlink(missing_ok=True)
            os.close(file)

    def has_server(self) -> bool:
        """Tell whether a server runs on this folder now."""
        if not (self.path / "lock").exists():
            return False
        file = self._open_lock()
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    def write_note(self, note: ServerNote) -> None:
        """Say where the broker listens."""
        draft = self.note.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(note))
        draft.replace(self.note)

    def read_note(self) -> ServerNote | None:
        """Return what the running server says, or None if it has not said anything yet."""
        try:
            return msgspec.json.decode(self.note.read_bytes(), type=ServerNote)
        except (OSError, msgspec.DecodeError):
            return None

    def _open_lock(self) -> int:
        try:
            return os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataFolderError(
                f"cannot use the data folder {self.path}: {error.strerror}"
            ) from error
