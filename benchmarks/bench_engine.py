"""How many events per second does the engine judge, next to others with the same rules and events?

A made-up fleet of 500 hosts and 24 hours; packs of 40 to 500 mixed rules. Every engine runs in a
process of its own, pinned to one core, one after the other, and must count the same firing groups
per rule; where it does not, no ratio is shown. Rates are events per second of CPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.fleet.shape import parse_events
from benchmarks.fleet.store import default_folder
from benchmarks.judging.suite import PACKS, Suite
from benchmarks.judging.tables import engine_table, own_table, told
from benchmarks.judging.task import Task
from benchmarks.reports import FOLDER, make_parser, write_report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from benchmarks.judging.suite import EngineRow, OwnRow

SMALL, QUICK = 1_000_000, 100_000  # events where none are asked for
LARGE = 5  # times as many events in the fleet that memory is compared with
_RULES_HELP = f"sizes of packs (default: {min(PACKS)}; with --events, {PACKS})"
LIBRARIES = ("msgspec", "numba", "numpy", "pyarrow")


def main() -> None:
    """Measure, print tables and write the report."""
    options = _options()
    options.rules = tuple(options.rules or (PACKS if options.events else PACKS[:1]))
    events = options.events or (QUICK if options.quick else SMALL)
    task = Task(
        what="ours",
        events=events,
        violating=options.violating,
        folder=str(options.data),
        rules=min(options.rules),
        core=options.core,
        rounds=1 if options.quick else 3,
    )
    started_s = time.monotonic()
    _say(f"data in {options.data}")
    task.fleet()  # made once, before anything is measured
    suite = Suite(task, options.limit, _say)
    engines: list[EngineRow] = []
    if not options.own:
        for row in suite.engines(options.rules, tuple(options.peers)):
            engines.append(row)
            _say(f"  {told(row)}")
            _write(options, events, engines=engines, took_s=time.monotonic() - started_s)
        print(engine_table(engines))
    own = [] if options.peers else list(suite.own(options.rules, LARGE * events))
    if own:
        print(own_table(own))
    profile = suite.measure("profile", what="profile").lines if options.profile else []
    if profile:
        print("\n".join(profile))
    _write(
        options,
        events,
        engines=engines,
        own=own,
        profile=profile,
        took_s=time.monotonic() - started_s,
    )


def _options() -> argparse.Namespace:
    parser = make_parser(__doc__, "engine_<events>")
    parser.add_argument("--events", type=parse_events, help="such as 10e6 or 10M (default: 1M)")
    parser.add_argument("--violating", type=int, default=3_700, help="one event in so many")
    parser.add_argument("--rules", type=int, nargs="+", help=_RULES_HELP)
    parser.add_argument("--data", type=Path, default=default_folder(), help="keeps made-up fleets")
    parser.add_argument("--peers", nargs="*", default=[], help="parts of names; none: all of them")
    parser.add_argument("--own", action="store_true", help="leave the peers out")
    parser.add_argument(
        "--limit", type=float, default=600, help="seconds of CPU of one measurement"
    )
    parser.add_argument("--core", type=int, default=0, help="to which processes are pinned")
    parser.add_argument("--profile", action="store_true", help="show where our time goes")
    return parser.parse_args()


def _write(
    options: argparse.Namespace,
    events: int,
    *,
    engines: Iterable[EngineRow],
    own: Iterable[OwnRow] = (),
    profile: Sequence[str] = (),
    took_s: float,
) -> None:
    if options.json is None and not options.quick:
        options.json = FOLDER / f"engine_{events // 1_000}k.json"
    write_report(
        options,
        __doc__,
        "engine",
        arguments=" ".join(deciding_arguments(sys.argv[1:])),
        machine=dict(_versions()),
        took_s=round(took_s),
        events=events,
        engines=[{**_plain(row), "ratio": row.ratio} for row in engines],
        own=[_plain(row._asdict()) for row in own],
        profile=list(profile),
    )


def deciding_arguments(arguments: list[str]) -> Iterator[str]:
    """Yield the arguments that decide what is measured, without places and ``--quick``."""
    rest = iter(arguments)
    for argument in rest:
        name, _, value = argument.partition("=")
        if name in ("--json", "--data"):
            if not value:
                next(rest, None)
        elif name != "--quick":  # the report says so itself
            yield argument


def _versions() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _plain(value: object) -> Any:  # noqa: ANN401 (any JSON value)
    return msgspec.to_builtins(value)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
