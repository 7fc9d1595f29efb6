"""Parquet: the telemetry of a run as files that other tools read, one per telemetry kind.

In: sealed slices of any hosts, one after the other. Out: a folder with a file for every kind, also
for those without rows, so that each question can be asked. Memory is bounded by the row groups.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from analyzer.data_folder import FOLDER_MODE
from analyzer.sql import file_name
from analyzer.telemetry.arrow import arrow_table, schema_of
from rules.telemetry.kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from analyzer.telemetry.slices import Slice

GROUP_ROWS: Final = 65_536  # of one kind that are collected before they are written
_DRAFT: Final = ".part"  # ends the name of a file that is not whole yet


class ParquetFolder:
    """Writes slices; the files are there under their names when it is left without an error.

    Attributes:
        rows: Written rows by kind.
    """

    def __init__(self, folder: Path, *, group_rows: int = GROUP_ROWS) -> None:
        """Name the folder; it is made when it is entered.

        Args:
            folder: Where the files will be; files of the same names are replaced.
            group_rows: Rows of one kind that are written at once.
        """
        self.rows: Counter[str] = Counter()
        self._folder = folder
        self._group_rows = group_rows
        self._waiting: dict[str, list[pa.Table]] = defaultdict(list)
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Begin a file for every kind.

        Raises:
            OSError: The folder cannot be made or written.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        with ExitStack() as opened:
            for kind in KINDS:
                opened.callback(self._draft(kind).unlink, missing_ok=True)
                self._writers[kind] = opened.enter_context(
                    pq.ParquetWriter(self._draft(kind), schema_of(kind), compression="zstd")
                )
            self._open = opened.pop_all()
        return self

    def __exit__(
        self,
        failed: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the files, or remove what was written of them."""
        with self._open:
            if failed is None:
                for kind, writer in self._writers.items():
                    self._flush(kind)
                    writer.close()
                for kind in KINDS:
                    self._draft(kind).replace(self._folder / file_name(kind))

    def write(self, piece: Slice) -> None:
        """Add the rows of a slice.

        Raises:
            OSError: They cannot be written.
        """
        for kind, table in piece.tables.items():
            self._waiting[kind].append(arrow_table(table, piece.agent_id))
            self.rows[kind] += len(table)
            if sum(map(len, self._waiting[kind])) >= self._group_rows:
                self._flush(kind)

    def _flush(self, kind: str) -> None:
        waiting = self._waiting.pop(kind, None)
        if waiting:
            self._writers[kind].write_table(pa.concat_tables(waiting))

    def _draft(self, kind: str) -> Path:
        return self._folder / (file_name(kind) + _DRAFT)
