"""Recovery: what a live run knows, saved now and then, so that a restart reads only the rest.

In: a live run between two seals. Out: one file beside its log, and the run as it was. The file says
how many records of each file of the log it has taken in; the server goes on with the next one.
Whatever is wrong with it, the log alone gives the run too: then all of it is judged again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import msgspec

from analyzer.engine.snapshot import columns_of, columns_state, packed, unpacked
from analyzer.errors import SnapshotError
from analyzer.model import MessageCount
from analyzer.timeline.takings import LateBatches

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from analyzer.telemetry.dictionary import Dictionary

SNAPSHOT_INTERVAL_US: Final = 30_000_000  # between two snapshots of a run
FILE_NAME: Final = "snapshot"
_FORMAT: Final = 1
_MODE: Final = 0o600


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a live run knows.

    Attributes:
        taken: Number of a file of the log → how many of its first records were taken.
        late: Batches among them that came too late.
        first_us: Agent → the first moment of the run that a batch of it covers.
        interval: Of the run.
        hosts: State of the timeline.
        engine: State of the engine.
        telemetry: Agent → type of message → what came of it.
    """

    format: int
    taken: dict[int, int]
    late: tuple[LateBatches, ...]
    first_us: dict[str, int]
    interval: tuple[int, int]
    hosts: dict[str, Any]
    engine: bytes
    telemetry: dict[str, dict[str, MessageCount]] = {}

    @classmethod
    def of(
        cls,
        *,
        taken: Mapping[int, int],
        late: tuple[LateBatches, ...],
        first_us: Mapping[str, int],
        interval: tuple[int, int],
        hosts: dict[str, Any],
        engine: bytes,
        telemetry: Mapping[str, dict[str, MessageCount]],
    ) -> Snapshot:
        """Return a snapshot whose ``hosts`` come from ``Timeline.state``."""
        return cls(
            format=_FORMAT,
            taken=dict(taken),
            late=late,
            first_us=dict(first_us),
            interval=interval,
            hosts={agent_id: _plain(host) for agent_id, host in hosts.items()},
            engine=engine,
            telemetry=dict(telemetry),
        )

    def hosts_of(self, dictionary: Dictionary) -> dict[str, Any]:
        """Return what ``Timeline.load`` wants."""
        return {agent_id: _with_columns(host, dictionary) for agent_id, host in self.hosts.items()}


def write_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Write a snapshot beside the log of a run, in the place of an earlier one.

    Raises:
        OSError: It cannot be written; the earlier one is still there.
    """
    draft = folder / f"{FILE_NAME}.new"
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
    try:
        data = memoryview(packed(msgspec.structs.asdict(snapshot)))
        while data:
            data = data[os.write(file, data) :]
        os.fsync(file)
    finally:
        os.close(file)
    draft.replace(folder / FILE_NAME)


def read_snapshot(folder: Path) -> Snapshot | None:
    """Return the snapshot of a run; None where there is none.

    Raises:
        SnapshotError: It is damaged, or of another version.
    """
    try:
        data = (folder / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SnapshotError(f"the snapshot cannot be read: {error.strerror}") from error
    try:
        plain = unpacked(data)
        if plain["format"] != _FORMAT:
            raise SnapshotError("the snapshot is of another version")
        return msgspec.convert(plain, Snapshot)
    except (LookupError, TypeError, ValueError, msgspec.MsgspecError) as error:
        raise SnapshotError(f"the snapshot cannot be read: {error}") from error


def remove_snapshot(folder: Path) -> None:
    """Remove the snapshot of a run that has ended."""
    (folder / FILE_NAME).unlink(missing_ok=True)


def _plain(host: dict[str, Any]) -> dict[str, Any]:
    return {
        **host,
        "parts": [[first_us, columns_state(table)] for first_us, table in host["parts"]],
    }


def _with_columns(host: dict[str, Any], dictionary: Dictionary) -> dict[str, Any]:
    parts = [(first_us, columns_of(state, dictionary)) for first_us, state in host["parts"]]
    return {**host, "parts": parts}
