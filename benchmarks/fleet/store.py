"""Store: a fleet's columns on disk, made once per shape, read whole or piece by piece.

In: a shape and a folder. Out: ``Slice`` after ``Slice``, host by host or as time goes by.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from analyzer.telemetry.dictionary import Dictionary
from analyzer.telemetry.slices import Columns, Slice
from benchmarks.fleet.day import days
from benchmarks.fleet.shape import END_US, SHARES, START_US, Shape
from benchmarks.fleet.world import World
from rules.telemetry.batch import TYPE_CODES, Vector
from rules.telemetry.event import Process
from rules.telemetry.kinds import KINDS, ColumnType
from rules.telemetry.ledger import Intervals, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_SLICE: Final = 10_000  # events of one slice, and of one batch
Order = Literal["hosts", "time"]
"""How slices arrive: host after host, or all hosts as time goes by."""
_INDEX: Final = "index.msgpack"
_VALID: Final = ".valid"


class _Index(msgspec.Struct):
    """What the column files of a fleet mean."""

    agents: list[str]
    texts: list[str]
    processes: list[Process]
    columns: dict[str, list[str]]
    """Names of the arrays of each kind: columns, and ``name.valid`` where some values are null."""
    rows: dict[str, list[int]]
    """Rows of each kind, host by host."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One slice of a host: which rows of each kind it has."""

    host: int
    from_us: int
    to_us: int
    rows: Mapping[str, tuple[int, int]]

    @property
    def events(self) -> int:
        """Return the number of its events."""
        return sum(end - start for start, end in self.rows.values())


def open_fleet(shape: Shape, folder: Path) -> Fleet:
    """Return the fleet of a shape; its data is made first where ``folder`` lacks it.

    Raises:
        OSError: The folder cannot be written.
    """
    target = folder / shape.name
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{shape.name}.{os.getpid()}"
        draft.mkdir()
        try:
            _write(shape, draft)
            draft.replace(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return Fleet(shape, target)


def default_folder() -> Path:
    """Return where data goes that no option places elsewhere: outside of the repository."""
    from pathlib import Path

    return Path(tempfile.gettempdir()) / "proctor-benchmarks"


class Fleet:
    """The telemetry of a fleet, as it lies on disk.

    Attributes:
        shape: What it was made from.
        folder: Where it lies; exports stand next to the columns.
        dictionary: What ids mean.
        agents: Agent ids, by the number of the host.
    """

    def __init__(self, shape: Shape, folder: Path) -> None:
        """Read what the columns mean, not the columns."""
        self.shape = shape
        self.folder = folder
        self._index = msgspec.msgpack.decode((folder / _INDEX).read_bytes(), type=_Index)
        self.agents = tuple(self._index.agents)
        self.dictionary = self.new_dictionary()

    def new_dictionary(self) -> Dictionary:
        """Return another dictionary with the same ids."""
        dictionary = Dictionary()
        dictionary.text_ids(self._index.texts)
        dictionary.process_ids(self._index.processes)
        return dictionary

    def ledger(self) -> Ledger:
        """Return a ledger in which every host was watched all day."""
        ledger = Ledger(START_US, END_US)
        whole = Intervals([(START_US, END_US)])
        for agent_id in self.agents:
            ledger.add_host(agent_id, watched=whole, kinds=SHARES)
        return ledger

    def pieces(
        self, *, max_events: int = MAX_SLICE, order: Order = "hosts", hosts: int | None = None
    ) -> list[Piece]:
        """Return how the day is cut into slices of at most so many events.

        Args:
            max_events: Of one slice.
            order: Of the slices.
            hosts: How many of them, the first ones; None = all.
        """
        cut = [self._cut(host, max_events) for host in range(hosts or len(self.agents))]
        pieces = list(chain.from_iterable(cut))
        if order == "time":
            pieces.sort(key=lambda piece: (piece.to_us, piece.host))
        return pieces

    def hosts_with(self, events: int) -> int:
        """Return how many hosts, the first ones, it takes to have so many events."""
        total = np.cumsum(sum(np.array(rows) for rows in self._index.rows.values()))
        return min(int(np.searchsorted(total, events)) + 1, len(self.agents))

    def loaded(self, pieces: list[Piece]) -> list[Slice]:
        """Return slices as views of columns that are read into memory as a whole."""
        arrays = {name: np.fromfile(path, dtype) for name, (path, dtype) in self._files.items()}
        return [self._slice(piece, arrays) for piece in pieces]

    def streamed(self, pieces: list[Piece]) -> Iterator[Slice]:
        """Yield slices one by one, each read from disk when its turn comes."""
        with ExitStack() as stack:
            arrays = {
                name: _File(stack.enter_context(path.open("rb", buffering=0)), dtype)
                for name, (path, dtype) in self._files.items()
            }
            for piece in pieces:
                yield self._slice(piece, arrays)

    @cached_property
    def _files(self) -> dict[tuple[str, str], tuple[Path, np.dtype[Any]]]:
        return {
            (kind, name): (self.folder / f"{kind}.{name}", _dtype(kind, name))
            for kind, names in self._index.columns.items()
            for name in names
        }

    @cached_property
    def _starts(self) -> dict[str, list[int]]:
        return {kind: [0, *np.cumsum(rows).tolist()] for kind, rows in self._index.rows.items()}

    def _cut(self, host: int, max_events: int) -> Iterator[Piece]:
        starts = {kind: starts[host] for kind, starts in self._starts.items()}
        times = {kind: self._times(kind, host) for kind in starts}
        merged = np.sort(np.concatenate(list(times.values())))
        bounds = _bounds(merged, max_events)
        places = {kind: np.searchsorted(values, bounds) for kind, values in times.items()}
        for number, (from_us, to_us) in enumerate(
            zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        ):
            rows = {
                kind: (starts[kind] + int(place[number]), starts[kind] + int(place[number + 1]))
                for kind, place in places.items()
                if place[number] < place[number + 1]
            }
            yield Piece(host, from_us, to_us, rows)

    def _times(self, kind: str, host: int) -> npt.NDArray[np.int64]:
        """Return the times of a host's rows, without a mapping that would count as memory."""
        start, end = self._starts[kind][host : host + 2]
        if start == end:
            return np.zeros(0, np.int64)
        path = self.folder / f"{kind}.ts_us"
        return np.fromfile(path, np.int64, end - start, offset=start * 8)

    def _slice(self, piece: Piece, arrays: Mapping[tuple[str, str], Any]) -> Slice:
        tables = {
            kind: self._columns(kind, slice(*rows), arrays) for kind, rows in piece.rows.items()
        }
        return Slice(self.agents[piece.host], piece.from_us, piece.to_us, tables)

    def _columns(self, kind: str, rows: slice, arrays: Mapping[tuple[str, str], Any]) -> Columns:
        names = self._index.columns[kind]
        own = {
            name: Vector(
                arrays[kind, name][rows],
                arrays[kind, name + _VALID][rows] if name + _VALID in names else None,
            )
            for name in names
            if name not in ("ts_us", "process") and not name.endswith(_VALID)
        }
        ts_us, process = arrays[kind, "ts_us"][rows], arrays[kind, "process"][rows]
        return Columns(kind, ts_us, process, own, self.dictionary)


def _bounds(times: npt.NDArray[np.int64], max_events: int) -> npt.NDArray[np.int64]:
    """Return where slices of a host begin and end; rows of one moment stay together."""
    bounds, place = [START_US], 0
    while place + max_events < len(times):
        bounds.append(int(times[place + max_events]))
        place = int(np.searchsorted(times, bounds[-1]))
    return np.array([*bounds, END_US])


class _File:
    """An array on disk of which slices are read when they are asked for."""

    def __init__(self, file: BinaryIO, dtype: np.dtype[Any]) -> None:
        self._file = file.fileno()
        self._dtype = dtype

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        size = self._dtype.itemsize
        data = os.pread(self._file, (rows.stop - rows.start) * size, rows.start * size)
        return np.frombuffer(data, self._dtype)


def _dtype(kind: str, name: str) -> np.dtype[Any]:
    if name == "ts_us":
        return np.dtype(np.int64)
    if name == "process":
        return np.dtype(np.uint32)
    if name.endswith(_VALID):
        return np.dtype(np.uint8)
    column = KINDS[kind].columns[name]
    return np.dtype(TYPE_CODES[ColumnType(column.type)])


def _write(shape: Shape, folder: Path) -> None:
    world = World(shape)
    rows: dict[str, list[int]] = {kind: [] for kind in SHARES}
    columns: dict[str, list[str]] = {}
    with ExitStack() as stack:
        files: dict[tuple[str, str], BinaryIO] = {}
        for _, day in days(shape, world):
            for kind in SHARES:
                rows[kind].append(len(day[kind]) if kind in day else 0)
            for kind, table in day.items():
                arrays = _arrays(table)
                columns.setdefault(kind, list(arrays))
                for name, values in arrays.items():
                    if (kind, name) not in files:
                        path = folder / f"{kind}.{name}"
                        files[kind, name] = stack.enter_context(path.open("wb"))
                    values.tofile(files[kind, name])
    texts = [text for text in world.dictionary.texts[1:] if text is not None]
    agents = [host.agent_id for host in world.hosts]
    index = _Index(agents, texts, world.dictionary.processes[1:], columns, rows)
    (folder / _INDEX).write_bytes(msgspec.msgpack.encode(index))


def _arrays(table: Columns) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a table by name; a number column that may be null has two."""
    arrays: dict[str, npt.NDArray[Any]] = {"ts_us": table.ts_us, "process": table.process}
    for name, vector in table.columns.items():
        arrays[name] = vector.values
        if vector.valid is not None:
            arrays[name + _VALID] = vector.valid
    return arrays
