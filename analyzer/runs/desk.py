"""The desk for runs: what a command line does with the runs of a server, through its store.

In: a store. Out: runs started, found, read, stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from analyzer.assessments import Assessments, identity_of, limits_in
from analyzer.errors import AssessmentError
from analyzer.ingest.segments import segments_of
from analyzer.model import evaluated
from analyzer.replay.judged import read_rules
from analyzer.results.document import Result, from_json
from analyzer.words import listed
from rules.loader import load_packages

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence
    from pathlib import Path

    from analyzer.data_folder import DataFolder
    from analyzer.model import FindingRow, Run
    from analyzer.replay.second_opinion import Opinions
    from analyzer.store import Store
    from rules.loader import Package
    from rules.telemetry import Clock

_NAMED = 4  # runs that are looked at where one was named wrongly; one less is shown


class RunDesk:
    """Reads and changes runs in the store that a server works from."""

    def __init__(self, store: Store, folder: DataFolder, *, clock: Clock) -> None:
        """Use a store that is open."""
        self._store = store
        self._folder = folder
        self._clock = clock

    async def start(self, *, name: str, duration_s: int, packages: Sequence[str]) -> Run:
        """Return a new run that the server will take up.

        Raises:
            AssessmentError: What was asked for cannot be.
        """
        desk = Assessments(
            self._store,
            arns=await identity_of(self._store),
            packages=(),
            clock=self._clock,
            limits=await limits_in(self._store),
        )
        return await desk.quick_run(name=name, duration_s=duration_s, packages=packages)

    async def runs(self) -> list[Run]:
        """Return every run, newest first."""
        return await self._store.runs()

    async def find(self, name: str) -> Run:
        """Return the run with this id, with an id that starts so, or the last one.

        Raises:
            AssessmentError: There is none, or more than one.
        """
        found = await self._newest(1) if name == "last" else await self._newest(_NAMED, name)
        if len(found) == 1:
            return found[0]
        known = found or await self._newest(_NAMED)
        if not known:
            raise AssessmentError(
                f"there is no run yet; 'proctor runs start --data {self._folder.path}' starts one"
            )
        what = "is the start of several ids" if found else "is no run"
        more = " and others" if len(known) == _NAMED else ""
        shown = ", ".join(run.id for run in known[: _NAMED - 1])
        raise AssessmentError(
            f"{name!r} {what}; there are: {shown}{more}; 'proctor runs list' shows every run"
        )

    async def _newest(self, limit: int, id_start: str = "") -> list[Run]:
        if not id_start.isascii():  # ids are; a database would refuse half a character
            return []
        async with self._store.reading() as rows:
            return await rows.runs.newest(id_start=id_start, limit=limit)

    async def before(self, run: Run) -> Run | None:
        """Return the newest ended run before this one that it can be compared with, or None."""
        async with self._store.reading() as rows:
            return await rows.runs.judged_before(run)

    async def previous(self, run: Run) -> Run:
        """Return the run that ``before`` finds.

        Raises:
            AssessmentError: There is none.
        """
        earlier = await self.before(run)
        if earlier is None:
            raise AssessmentError(
                f"there is no ended run of the same packages before {run.id}; name two runs: "
                "'proctor runs diff RUN RUN'"
            )
        return earlier

    async def result(self, run: Run) -> Result | None:
        """Return what an ended run came to, or None."""
        document = await self._store.result(run.id)
        return None if document is None else from_json(document)

    async def finding_rows(self, run: Run) -> list[FindingRow]:
        """Return the findings of a run as they are stored one by one."""
        return await self._store.findings(run.id)

    def packages(self, run: Run) -> list[Package]:
        """Return the rules packages that a run was judged by; the shipped ones if none were kept.

        Raises:
            RuleFileError: The copy that was kept is damaged.
        """
        kept = read_rules(self._folder.runs / run.id)
        return load_packages() if kept is None else kept

    def export(self, run: Run, out: Path) -> Counter[str]:
        """Write the telemetry of a run to Parquet files; return rows by kind. Blocks.

        Raises:
            AnalyzerError: The run has no telemetry, its log cannot be read, or nothing be written.
        """
        from analyzer.replay.export import export_run

        return export_run(segments_of(self._folder.runs, run.id), run, out)

    def second_opinion(self, run: Run, packages: Sequence[Package]) -> Opinions:
        """Judge a run by the engine and by SQL, with the rules that it was judged by. Blocks.

        Raises:
            AnalyzerError: It cannot be judged; the message says why.
        """
        from analyzer.replay.export import SealedLog
        from analyzer.replay.second_opinion import second_opinion
        from analyzer.runs.live import chosen_packages

        chosen = chosen_packages(packages, run.packages)
        rules = [rule for package in chosen for rule in package.rules]
        unknown = set(evaluated(run.packages)) - {package.id for package in chosen}
        if unknown:
            raise AssessmentError(
                f"unknown rules package {listed(sorted(unknown))}; name their folder with --rules"
            )
        return second_opinion(SealedLog(segments_of(self._folder.runs, run.id), run), rules)

    async def stop(self, run: Run, *, evaluate: bool) -> None:
        """Ask the server to stop a run.

        Raises:
            AssessmentError: It has ended already.
        """
        action: Literal["START_EVALUATION", "SKIP_EVALUATION"]
        action = "START_EVALUATION" if evaluate else "SKIP_EVALUATION"
        if not await self._store.request_stop(run.id, action):
            raise AssessmentError(f"run {run.id} has ended already: {run.state}")

    async def read(self, run: Run) -> Run:
        """Return a run as it is now.

        Raises:
            AssessmentError: It was deleted.
        """
        now = await self._store.run(run.id)
        if now is None:
            raise AssessmentError(f"run {run.id} is gone")
        return now
