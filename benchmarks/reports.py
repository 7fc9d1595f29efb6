"""What every benchmark shares: its options, and the JSON that it leaves behind.

In: what was measured. Out: a file that states the question, the command, the machine and the
figures. A quick run writes one only where it is told to.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


def make_parser(doc: str | None, name: str) -> argparse.ArgumentParser:
    """Return the parser of the benchmark ``bench_<name>.py``; it may add options of its own."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true", help="a few seconds, rough figures")
    parser.add_argument("--json", type=Path, help=f"where results go (default: {name}.json)")
    return parser


def write_report(
    options: argparse.Namespace,
    doc: str | None,
    name: str,
    *,
    machine: Mapping[str, str] | None = None,
    arguments: str = "",
    **measured: Any,  # noqa: ANN401 (any JSON value)
) -> None:
    """Write what was measured, on what and how.

    Args:
        options: Of ``make_parser``.
        doc: Of the benchmark; its first line is the question.
        name: Of the benchmark.
        machine: What of the machine matters beside system, cores and Python.
        arguments: Of the command line, where they decide what is measured.
        measured: The figures, by key.
    """
    target = _target(options, name)
    if target is None:
        return
    report = {
        "question": (doc or "").splitlines()[0],
        "command": " ".join(
            part
            for part in (
                f"python benchmarks/bench_{name}.py",
                "--quick" if options.quick else "",
                arguments,
            )
            if part
        ),
        "machine": {
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            **(machine or {}),
        },
        **measured,
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report, indent=1) + "\n")


def read_report(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """Return the report that ``write_report`` would replace; an empty one where there is none."""
    target = _target(options, name)
    if target is None or not target.exists():
        return {}
    found: dict[str, Any] = json.loads(target.read_text())
    return found


def _target(options: argparse.Namespace, name: str) -> Path | None:
    return options.json or (None if options.quick else FOLDER / f"{name}.json")
