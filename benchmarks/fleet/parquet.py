"""Parquet: a fleet as one file per kind, for engines that read rows of named columns.

In: a fleet. Out: files as ``proctor runs export`` writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analyzer.sql.parquet import ParquetFolder

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.fleet.store import Fleet

_ROWS_PER_GROUP: Final = 1_000_000


def parquet_folder(fleet: Fleet, *, hosts: int | None = None) -> Path:
    """Return the folder with a file per kind; it is written first where it is missing.

    Args:
        fleet: Its slices in the order of hosts.
        hosts: How many hosts, the first ones; None = all.

    Raises:
        OSError: The folder cannot be written.
    """
    target = fleet.folder / f"parquet-{hosts or 'all'}"
    if not target.exists():
        draft = target.with_suffix(".draft")
        with ParquetFolder(draft, group_rows=_ROWS_PER_GROUP) as folder:
            for piece in fleet.streamed(fleet.pieces(max_events=1 << 40, hosts=hosts)):
                folder.write(piece)
        draft.replace(target)
    return target
