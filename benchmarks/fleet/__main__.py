"""Write a fleet's day, or a pack of rules, as files that `proctor check` reads.

In: a size and where to write. Out: a recording as ``.ndjson.zst``, and rule files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from benchmarks.fleet.lines import write_recording
from benchmarks.fleet.packs import SIZES, make_documents
from benchmarks.fleet.shape import Shape, parse_events
from benchmarks.fleet.store import default_folder, open_fleet


def main() -> None:
    """Write what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--events", type=parse_events, default=1_000_000, help="such as 5e6 or 5M")
    parser.add_argument("--hosts", type=int, default=500)
    parser.add_argument("--violating", type=int, default=3_700, help="one event in so many")
    parser.add_argument("--data", type=Path, default=default_folder(), help="keeps made-up fleets")
    parser.add_argument("--lines", type=Path, help="recording to write, FILE.ndjson.zst")
    parser.add_argument("--rules", type=Path, help="folder to write rule files to")
    parser.add_argument("--pack", type=int, default=SIZES[0], help="how many of them")
    options = parser.parse_args()
    if options.lines:
        shape = Shape(events=options.events, hosts=options.hosts, violating=options.violating)
        fleet = open_fleet(shape, options.data)
        write_recording(options.lines, fleet.agents, fleet.streamed(fleet.pieces()))
    if options.rules:
        write_rules(options.rules, options.pack)


def write_rules(folder: Path, count: int) -> None:
    """Write the first ``count`` rules, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for document in make_documents(count):
        path = folder / f"{document['id']}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))


if __name__ == "__main__":
    main()
