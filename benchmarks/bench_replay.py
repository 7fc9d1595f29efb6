"""Does it pay to share the hosts of a replay among processes?

A day of a made-up fleet as the log of a run, judged by `proctor replay` with one worker and with
two, in turns. The results must be the same to the byte, or there is no report.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.commands import Run, run
from benchmarks.fleet.__main__ import write_rules
from benchmarks.fleet.log import write_log
from benchmarks.fleet.packs import SIZES
from benchmarks.fleet.shape import Shape, parse_events
from benchmarks.fleet.store import default_folder, open_fleet
from benchmarks.reports import make_parser, write_report

SMALL: Final = 1_000_000
QUICK: Final = 50_000
ROUNDS: Final = 3
WORKERS: Final = (1, 2)
LIBRARIES: Final = ("msgspec", "numba", "numpy", "zstandard")


def main() -> None:
    """Measure in turns, print a table and write the report."""
    options = _options()
    events = options.events or (QUICK if options.quick else SMALL)
    log = make_log(options, events)
    rules = options.data / f"rules-{options.rules}"
    write_rules(rules, options.rules)
    rounds: dict[int, list[Run]] = {count: [] for count in options.workers}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(1 if options.quick else ROUNDS):
            for count, own in rounds.items():
                with (Path(folder) / f"{count}.json").open("wb") as out:
                    own.append(run(_replay(log, rules, count), out=out))
        results = {(Path(folder) / f"{count}.json").read_bytes() for count in rounds}
    if len(results) != 1:
        raise SystemExit("the results differ by the number of workers")
    best = {count: min(own) for count, own in rounds.items()}
    print_table(best, events, options.rules)
    write_report(
        options,
        __doc__,
        "replay",
        events=events,
        hosts=options.hosts,
        rules=options.rules,
        cores=os.cpu_count(),
        libraries={name: version(name) for name in LIBRARIES},
        load=round(os.getloadavg()[0], 1),
        rounds={f"{count}": [one._asdict() for one in own] for count, own in rounds.items()},
    )


def _options() -> argparse.Namespace:
    parser = make_parser(__doc__, "replay")
    parser.add_argument("--events", type=parse_events, help="such as 10e6 or 10M (default: 1M)")
    parser.add_argument("--hosts", type=int, default=500)
    parser.add_argument("--rules", type=int, default=SIZES[0], help="how many")
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS, help="to compare")
    parser.add_argument("--data", type=Path, default=default_folder(), help="keeps made-up fleets")
    return parser.parse_args()


def make_log(options: argparse.Namespace, events: int) -> Path:
    """Return a run's folder with so many events in its log; it is made where it is missing."""
    shape = Shape(events=events, hosts=options.hosts)
    fleet = open_fleet(shape, options.data)
    target = fleet.folder / "run"
    if not target.exists():
        print(f"making {target}", file=sys.stderr)
        draft = target.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)  # of a run that was broken off
        write_log(draft / "segments", fleet)
        draft.replace(target)
    return target


def _replay(log: Path, rules: Path, workers: int) -> list[str]:
    proctor = Path(sys.executable).with_name("proctor")
    shared = ["--rules", str(rules), "--workers", str(workers), "-o", "json"]
    return [str(proctor), "replay", str(log), *shared]


def print_table(best: dict[int, Run], events: int, rules: int) -> None:
    """Print the quickest round of each."""
    print(f"\n{events:,} events, {rules} rules, {os.cpu_count()} cores; quickest round")
    print(f"{'workers':>9}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'times as fast':>15}")
    alone, *_ = best.values()
    for count, own in best.items():
        ratio = alone.wall_s / own.wall_s
        print(f"{count:>9}{own.wall_s:>9.2f}{own.cpu_s:>9.2f}{own.peak_mb:>9,.0f}{ratio:>15.2f}")


if __name__ == "__main__":
    main()
