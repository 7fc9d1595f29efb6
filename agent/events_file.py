"""A file of events as text, written as a whole: it has its name only once it is complete.

In: events, then what is to stand above them. Out: NDJSON, compressed where the name says so.
"""

from __future__ import annotations

import contextlib
import gzip
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final, cast

from rules.telemetry.event import PROCESS_ROW_KEYS, Event
from rules.telemetry.ndjson import encode_row

_Stream = contextlib.AbstractContextManager[IO[bytes]]

STDOUT: Final = "-"


class EventsFile:
    """What appears under its name only when it is complete. Its methods block.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, out: str) -> None:
        self._path = None if out == STDOUT else Path(out)
        self._part = self._path and self._path.with_name(f".{self._path.name}.part")
        self._file = sys.stdout.buffer if self._part is None else self._part.open("wb")
        self._rows = tempfile.TemporaryFile()  # noqa: SIM115 (``close`` closes it)

    def append(self, events: Iterable[Event]) -> None:
        """Keep events until the header is known."""
        self._rows.writelines(encode_event(event) + b"\n" for event in events)

    def finish(self, head: Iterable[bytes]) -> None:
        """Write ``head`` and then the events, and give the file its name."""
        self._rows.seek(0)
        suffix = self._path.suffix if self._path is not None else ""
        with _compressing(self._file, suffix) as stream:
            stream.write(b"".join(line + b"\n" for line in head))
            shutil.copyfileobj(self._rows, stream)
        self._file.flush()
        if self._part is not None and self._path is not None:
            self._file.close()
            self._part.replace(self._path)

    def close(self) -> None:
        """Remove what is not finished."""
        self._rows.close()
        if self._part is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)


def encode_event(event: Event) -> bytes:
    """Return an event as its line, without agent."""
    row: dict[str, object] = {"telemetry": event.kind, "ts_us": event.ts_us, **event.values}
    if event.process is not None:
        row.update(zip(PROCESS_ROW_KEYS, event.process, strict=True))
    return encode_row(row)


def _compressing(file: IO[bytes], suffix: str) -> _Stream:
    if suffix == ".gz":
        return cast("_Stream", gzip.GzipFile(fileobj=file, mode="wb"))
    if suffix == ".zst":
        import zstandard

        return cast("_Stream", zstandard.ZstdCompressor().stream_writer(file, closefd=False))
    return contextlib.nullcontext(file)
