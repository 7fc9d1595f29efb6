"""A child process that makes one report and ends: what it needed goes back to the system.

In: a form and its material, from the process that started it. Out: the report on standard output,
or one line on standard error that says why there is none. Setting 2,000 findings takes 300 MB,
which Typst would keep.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from typing import Final

from analyzer.errors import AnalyzerError
from analyzer.reports.material import Form, Material, make_report

TIMEOUT_S: Final = 600.0  # a report of 10,000 findings takes some seconds


async def make_in_child(form: Form, material: Material) -> bytes:
    """Return a report that a process of its own made; the process ends whatever happens.

    Raises:
        AnalyzerError: It cannot be made, or the process died.
    """
    order = await asyncio.to_thread(pickle.dumps, (form, material))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "analyzer.reports.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            report, told = await process.communicate(order)
    except TimeoutError as error:
        raise AnalyzerError(f"the report was not made in {TIMEOUT_S:.0f} seconds") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        why = told.decode(errors="replace").strip().splitlines()[-1:] or ["its process died"]
        raise AnalyzerError(why[0])
    return report


def main() -> int:
    """Make the report that standard input asks for."""
    form, material = pickle.load(sys.stdin.buffer)  # noqa: S301 (written by the parent)
    try:
        report = make_report(form, material)
    except AnalyzerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
