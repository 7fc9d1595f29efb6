"""How long does `proctor check --events` take, next to only decompressing and decoding the lines?

A day of a made-up fleet as one zstd recording. The baseline decompresses it and decodes each line
with msgspec, and keeps nothing. Both run in a process of their own, in turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.commands import Run, run
from benchmarks.fleet.shape import Shape, parse_events
from benchmarks.reports import make_parser, write_report

SMALL: Final = 300_000
QUICK: Final = 50_000
ROUNDS: Final = 3
FACTOR, EXTRA_S = 1.2, 5.0  # the goal: so many times the baseline, and so many seconds
LIBRARIES: Final = ("msgspec", "numba", "numpy", "zstandard")
_BASELINE: Final = """
import io, sys, msgspec, zstandard
with open(sys.argv[1], "rb") as file:
    packed = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    for line in io.BufferedReader(packed, 1 << 20):
        msgspec.json.decode(line)
"""


def make_recording(options: argparse.Namespace, events: int) -> Path:
    """Return a recording of so many events; it is made where it is missing."""
    shape = Shape(events=events, hosts=options.hosts)
    path: Path = options.data / f"{shape.name}.ndjson.zst"
    if not path.exists():
        print(f"making {path}", file=sys.stderr)
        # In another process: what a child inherits would count as its own memory.
        command = [sys.executable, "-m", "benchmarks.fleet", "--lines", str(path)]
        sizes = ["--events", str(events), "--hosts", str(options.hosts)]
        subprocess.run([*command, *sizes, "--data", str(options.data)], check=True)
    return path


def main() -> None:
    """Measure both in turns, print a table and write the report."""
    parser = make_parser(__doc__, "recording")
    parser.add_argument("--events", type=parse_events, help="such as 5e6 or 5M")
    parser.add_argument("--hosts", type=int, default=500)
    folder = Path(tempfile.gettempdir()) / "proctor-benchmarks"
    parser.add_argument("--data", type=Path, default=folder, help="keeps recordings")
    options = parser.parse_args()
    events = options.events or (QUICK if options.quick else SMALL)
    path = make_recording(options, events)
    proctor = Path(sys.executable).with_name("proctor")
    commands = {
        "zstd and msgspec, line by line": [sys.executable, "-c", _BASELINE, str(path)],
        "proctor check --events": [str(proctor), "check", "--events", str(path)],
    }
    rounds: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(1 if options.quick else ROUNDS):
        for name, command in commands.items():
            rounds[name].append(run(command))
    best = {name: min(runs) for name, runs in rounds.items()}
    print_table(best, events, path)
    write_report(
        options,
        __doc__,
        "recording",
        events=events,
        hosts=options.hosts,
        packed_mb=round(path.stat().st_size / 1e6, 1),
        libraries={name: version(name) for name in LIBRARIES},
        load=round(os.getloadavg()[0], 1),
        rounds={name: [own._asdict() for own in runs] for name, runs in rounds.items()},
    )


def print_table(best: dict[str, Run], events: int, path: Path) -> None:
    """Print the quickest round of each, and the goal."""
    print(f"\n{events:,} events, {path.stat().st_size / 1e6:,.0f} MB packed; quickest round")
    print(f"{'':32}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'B/event':>9}{'first line s':>14}")
    for name, own in best.items():
        first = "" if own.first_line_s is None else f"{own.first_line_s:.2f}"
        memory = own.peak_mb * 1e6 / events
        print(
            f"{name:32}{own.wall_s:>9.2f}{own.cpu_s:>9.2f}{own.peak_mb:>9,.0f}{memory:>9,.0f}"
            f"{first:>14}"
        )
    baseline, _ = best.values()
    print(f"{'goal':32}{FACTOR * baseline.wall_s + EXTRA_S:>9.2f}")


if __name__ == "__main__":
    main()
