"""A data folder with runs that have ended, or not, for tests of what reads them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from analyzer.data_folder import DataFolder
from analyzer.model import Run, RunState
from analyzer.results.document import Result, to_json
from analyzer.results.finding_rows import finding_rows
from analyzer.store import open_store
from rules.loader import load_packages
from tests.report_results import one_finding

TEMPLATE = "arn:aws:inspector:us-east-1:000000000000:target/0-tttttttt/template/0-pppppppp"


def of_run(run_id: str, issue_id: str) -> Result:
    """Return a result of one finding of a run."""
    result = one_finding(issue_id=issue_id)
    return msgspec.structs.replace(result, run=msgspec.structs.replace(result.run, id=run_id))


def fill(path: Path, runs: Sequence[tuple[str, tuple[str, ...], str, RunState]]) -> DataFolder:
    """Make runs of an id, packages, the issue of their finding, and a state; "" = no result."""
    folder = DataFolder(path)
    folder.create()

    async def work() -> None:
        store = await open_store(folder.store)
        for number, (run_id, packages, issue, state) in enumerate(runs):
            arn = f"{TEMPLATE}/run/{run_id}"
            run = Run(run_id, "t", 10, packages, number, state, from_us=0, to_us=10, arn=arn)
            await store.add_run(run)
            if issue:
                result = of_run(run_id, issue)
                rows = finding_rows(run, result, load_packages(), {}, at_us=number)
                await store.finish_run(run, to_json(result), rows)
        await store.close()

    asyncio.run(work())
    return folder
