"""What does a batch cost on the wire: encode, decode and bytes, next to rows and own buffers?

Every format carries the same seeded connection events and must give the same rows back. Times are
CPU time of this one process, rounds interleaved over the formats, the collector off as in timeit.
Encoding starts from what a program of that format holds: columns, dictionaries, or structs.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NamedTuple

import msgspec
import numpy as np
import orjson
import zstandard

from benchmarks.connections import make_batch, make_events
from benchmarks.reports import make_parser, write_report
from rules.telemetry import Batch, Header, Process, Row, Table, Vector
from rules.telemetry.arrow_reader import read_table
from rules.telemetry.arrow_writer import write_table
from rules.telemetry.batch import NULLABLE_NUMBERS, TYPE_CODES
from rules.telemetry.compression import pack, unpack
from rules.telemetry.kinds import CONNECTION, ColumnType
from rules.telemetry.wire import decode, encode

SIZES = (100, 1_000, 10_000)
SEED = 7
LIBRARIES = ("msgspec", "nanoarrow", "numpy", "orjson", "pyarrow", "zstandard")
GOALS = {1_000: "26 B, decode 150 ns", 10_000: "20 B, decode 80 ns"}
ROUND_EVENTS = 100_000  # per format in one timed round: ten of the largest batches
ROUNDS, QUICK_ROUNDS = 15, 1

_COMPRESSOR = zstandard.ZstdCompressor(1)
_DECOMPRESSOR = zstandard.ZstdDecompressor()
_COLUMNS = ("telemetry", "agent_id", "ts_us", *CONNECTION.columns)
_RowStruct = msgspec.defstruct(
    "_RowStruct", [(name, Any, None) for name in _COLUMNS], array_like=True, gc=False
)
_STRUCT_ROWS = msgspec.msgpack.Decoder(list[_RowStruct])  # type: ignore[valid-type]


class Format(NamedTuple):
    """One way to send a batch: ``prepare`` makes what ``encode`` starts from."""

    name: str
    prepare: Callable[[Batch], Any]
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    rows: Callable[[Any], list[Row]]


class Cell(NamedTuple):
    """One format at one batch size; times are nanoseconds of CPU per event."""

    format: str
    events: int
    bytes: float
    encode_min_ns: float
    encode_median_ns: float
    decode_min_ns: float
    decode_median_ns: float


class _Buffers(msgspec.Struct, array_like=True):
    """Columns as they lie in memory: what a private format would send."""

    header: Header
    strings: list[str]
    processes: list[Process]
    sizes: list[tuple[str, int, int]]
    """Column and the sizes of its values and validity, which stand before all this."""


_BUFFERS = msgspec.msgpack.Decoder(_Buffers)


def encode_buffers(batch: Batch) -> bytes:
    """Return a batch of connections as its own column buffers, compressed."""
    table = batch.tables["connection"]
    vectors = {"ts_us": Vector(table.ts_us), "process": Vector(table.process), **table.columns}
    buffers: list[bytes] = []
    sizes: list[tuple[str, int, int]] = []
    for name, vector in vectors.items():
        pair = (bytes(vector.values), bytes(vector.valid or b""))
        sizes.append((name, len(pair[0]), len(pair[1])))
        buffers.extend(pair)
    tail = msgspec.msgpack.encode((batch.header, batch.strings, batch.processes, sizes))
    body = b"".join((*buffers, tail, len(tail).to_bytes(4, "little")))
    return _COMPRESSOR.compress(body)


def decode_buffers(data: bytes) -> Batch:
    """Return the batch in column buffers, with its indexes and codes checked."""
    body = memoryview(_DECOMPRESSOR.decompress(data))
    tail = _BUFFERS.decode(body[-4 - int.from_bytes(body[-4:], "little") : -4])
    vectors: dict[str, Vector] = {}
    start = 0
    for name, size, valid_size in tail.sizes:
        middle, end = start + size, start + size + valid_size
        code = "I" if name == "process" else TYPE_CODES[_type_of(name)]
        values = np.frombuffer(body[start:middle], code)
        valid = np.frombuffer(body[middle:end], np.uint8) if valid_size else None
        vectors[name] = Vector(values, valid)
        _check_buffer(name, values, tail)
        start = end
    ts_us, process = vectors.pop("ts_us").values, vectors.pop("process").values
    table = Table("connection", ts_us, process, vectors)
    return Batch(tail.header, tail.strings, tail.processes, {"connection": table})


def _type_of(name: str) -> ColumnType:
    return ColumnType.INTEGER if name == "ts_us" else CONNECTION.columns[name].type


def _check_buffer(name: str, values: Any, tail: _Buffers) -> None:  # noqa: ANN401 (numpy)
    if name == "process":
        top = len(tail.processes)
    elif name == "ts_us" or CONNECTION.columns[name].type in NULLABLE_NUMBERS:
        return
    else:
        top = len(CONNECTION.columns[name].closed) or len(tail.strings)
    if np.maximum.reduce(values) > top:
        raise ValueError(name)


def batch_rows(batch: Batch) -> list[Row]:
    """Return the rows of a batch."""
    return list(batch.rows())


def structs_of(batch: Batch) -> list[Any]:
    """Return the rows of a batch as structs."""
    return [_RowStruct(**row) for row in batch.rows()]


def struct_rows(structs: list[Any]) -> list[Row]:
    """Return structs as rows, nulls left out."""
    return [
        {name: value for name, value in msgspec.structs.asdict(row).items() if value is not None}
        for row in structs
    ]


def packed(plain: Format) -> Format:
    """Return a format with zstd around it."""
    return plain._replace(
        name=f"{plain.name} + zstd",
        encode=lambda value: _COMPRESSOR.compress(plain.encode(value)),
        decode=lambda data: plain.decode(_DECOMPRESSOR.decompress(data)),
    )


ARROW = Format("Arrow message (wire.py)", lambda batch: batch, encode, decode, batch_rows)
BUFFERS = Format(
    "own buffers, MessagePack + zstd",
    lambda batch: batch,
    encode_buffers,
    decode_buffers,
    batch_rows,
)
JSON_ROWS = Format("JSON rows (orjson)", batch_rows, orjson.dumps, orjson.loads, list)
MESSAGEPACK_ROWS = Format(
    "MessagePack rows (msgspec)",
    structs_of,
    msgspec.msgpack.encode,
    _STRUCT_ROWS.decode,
    struct_rows,
)
FORMATS = (
    ARROW,
    BUFFERS,
    JSON_ROWS,
    packed(JSON_ROWS),
    MESSAGEPACK_ROWS,
    packed(MESSAGEPACK_ROWS),
)


def cpu_ns(work: Callable[[], object], times: int) -> float:
    """Return the CPU time of one call, averaged over a few."""
    start = time.process_time_ns()
    for _ in range(times):
        work()
    return (time.process_time_ns() - start) / times


def measure(batch: Batch, rounds: int) -> list[Cell]:
    """Return one cell per format for one batch; formats take turns in every round."""
    rows = batch_rows(batch)
    ready = []
    for form in FORMATS:
        value = form.prepare(batch)
        data = form.encode(value)
        if form.rows(form.decode(data)) != rows:
            raise SystemExit(f"{form.name} does not give the same events back")
        ready.append((form, value, data))
    times: dict[str, list[tuple[float, float]]] = {form.name: [] for form in FORMATS}
    calls = max(1, ROUND_EVENTS // len(rows))
    for _ in range(rounds):
        for form, value, data in ready:
            encoding = cpu_ns(lambda form=form, value=value: form.encode(value), calls)  # type: ignore[misc]
            decoding = cpu_ns(lambda form=form, data=data: form.decode(data), calls)  # type: ignore[misc]
            times[form.name].append((encoding / len(rows), decoding / len(rows)))
    return [_cell(form.name, len(rows), len(data), times[form.name]) for form, _, data in ready]


def _cell(name: str, events: int, size: int, times: list[tuple[float, float]]) -> Cell:
    encoding, decoding = zip(*times, strict=True)
    return Cell(
        format=name,
        events=events,
        bytes=round(size / events, 1),
        encode_min_ns=round(min(encoding), 1),
        encode_median_ns=round(statistics.median(encoding), 1),
        decode_min_ns=round(min(decoding), 1),
        decode_median_ns=round(statistics.median(decoding), 1),
    )


def measure_parts(batch: Batch, rounds: int) -> dict[str, float]:
    """Return where the time of our own format goes, nanoseconds per event, smallest of rounds."""
    table = batch.tables["connection"]
    sizes = {"strings": len(batch.strings), "processes": len(batch.processes)}
    stream = write_table(table, **sizes)
    body = stream + msgspec.msgpack.encode((batch.header, batch.strings, batch.processes))
    method, data = pack(body)
    parts: dict[str, Callable[[], object]] = {
        "encode_arrow": lambda: write_table(table, **sizes),
        "encode_zstd": lambda: pack(body),
        "decode_zstd": lambda: unpack(data, method=method, size_bytes=len(body)),
        "decode_arrow_and_checks": lambda: read_table(stream, **sizes),
    }
    calls = max(1, ROUND_EVENTS // len(batch))
    smallest = {
        name: min(cpu_ns(work, calls) for _ in range(rounds)) for name, work in parts.items()
    }
    return {name: round(value / len(batch), 1) for name, value in smallest.items()}


def print_table(cells: list[Cell], parts: dict[int, dict[str, float]]) -> None:
    """Print cells and parts for people."""
    heads = ("B/event", "encode min", "median", "decode min", "median")
    for events in sorted({cell.events for cell in cells}):
        goal = f"  (goal: {GOALS[events]})" if events in GOALS else ""
        print(f"\n{events:,} events{goal}; ns per event")
        print(f"{'':34}" + "".join(f"{head:>11}" for head in heads))
        for cell in cells:
            if cell.events == events:
                print(f"{cell.format:34}" + "".join(f"{value:>11,.1f}" for value in cell[2:]))
        print("  of it: " + ", ".join(f"{name} {value}" for name, value in parts[events].items()))


def main() -> None:
    """Measure every format at every size, print the table and write it as JSON."""
    parser = make_parser(__doc__, "wire")
    options = parser.parse_args()
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    batches = {size: make_batch(make_events(size, seed=SEED), seed=SEED) for size in SIZES}
    gc.collect()
    gc.disable()
    cells = [cell for batch in batches.values() for cell in measure(batch, rounds)]
    parts = {size: measure_parts(batch, rounds) for size, batch in batches.items()}
    gc.enable()
    print_table(cells, parts)
    write_report(
        options,
        __doc__,
        "wire",
        seed=SEED,
        libraries={name: version(name) for name in LIBRARIES},
        cells=[cell._asdict() for cell in cells],
        parts_min_ns=parts,
    )


if __name__ == "__main__":
    main()
