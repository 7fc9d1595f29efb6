"""Event: one observation of a sensor, the process it belongs to, and its form as a flat row.

In: what correlation knows. Out: the vocabulary that batches, text and rules share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from rules.telemetry.kinds import INT64_MAX, INT64_MIN, KINDS

Row = dict[str, Any]
"""One event, flat: ``telemetry``, ``ts_us``, ``agent_id``, then columns; null = no key."""

MAX_TEXT_BYTES = 32 * 1024  # one text as UTF-8; the host's users choose paths and arguments

# Checked while the wire is read.
Int64 = Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX)]
Text = Annotated[str, Meta(max_length=MAX_TEXT_BYTES)]


class Process(NamedTuple):
    """A process instance: what every event of it shares. An exec makes a new one.

    ``pid`` is null where only something else is known, such as the owner of a socket.
    """

    pid: Int64 | None = None
    start_us: Int64 | None = None
    name: Text | None = None
    path: Text | None = None
    parent_pid: Int64 | None = None
    uid: Int64 | None = None
    user: Text | None = None
    container_id: Text | None = None


PROCESS_ROW_KEYS = (
    "pid",
    "process_start_us",
    "process_name",
    "process_path",
    "parent_pid",
    "uid",
    "user",
    "container_id",
)
"""Row keys of the fields of ``Process``, in their order."""


class Event(NamedTuple):
    """One observation, as a sensor's correlation emits it."""

    kind: str
    ts_us: int
    process: Process | None
    values: dict[str, Any]
    """Own columns of the kind; null columns are left out."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Event:
        """Return a row as an event, without its agent and its derived columns."""
        kind = KINDS[row["telemetry"]]
        values = {
            column.name: row[column.name]
            for column in kind.sent
            if row.get(column.name) is not None
        }
        process = Process(*map(row.get, PROCESS_ROW_KEYS))
        return cls(
            kind.name,
            row["ts_us"],
            process if any(item is not None for item in process) else None,
            values,
        )
