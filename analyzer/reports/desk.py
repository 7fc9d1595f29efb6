"""The desk for reports: made when asked for, kept with the run, handed out by an address.

In: requests for a report of a run, again and again until it is there. Out: its state, and at last a
token for ``/reports/TOKEN``, which ``open`` turns into the file without credentials for a while.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from analyzer.errors import AnalyzerError
from analyzer.present.output import write_whole
from analyzer.reports.child import make_in_child
from analyzer.reports.material import Form, Material
from analyzer.reports.occasion import Kind
from analyzer.reports.tokens import Grant, Signer, TokenError
from rules.telemetry import Clock

log = logging.getLogger(__name__)

MEDIA_TYPES: Final = {"html": "text/html; charset=utf-8", "pdf": "application/pdf"}
LIFETIME_S: Final = 3_600  # of an address
MAX_WAITING: Final = 64  # reports that are made or wait for it; more are refused
_AT_ONCE: Final = 1  # a report takes a core and some hundred MB for some seconds


class BusyError(AnalyzerError):
    """Too many reports are being made; asking again later is worth it."""


Maker = Callable[[Form, Material], Awaitable[bytes]]


class ReportSource(Protocol):
    """Knows runs, and what there is to say about them."""

    async def exists(self, run_id: str) -> bool:
        """Tell whether the run has not been deleted."""
        ...

    async def version(self, run_id: str) -> str:
        """Return letters and digits that change whenever a report of the run would.

        Raises:
            AnalyzerError: There is no such run, it has not ended, or has no result.
        """
        ...

    async def material(self, run_id: str, kind: Kind) -> Material:
        """Return what a report of an ended run is made from.

        Raises:
            AnalyzerError: As ``version``.
        """
        ...


@dataclass(frozen=True, slots=True)
class ReportStatus:
    """How far a report is; ``token`` where it is completed, ``reason`` where it failed."""

    status: Literal["WORK_IN_PROGRESS", "COMPLETED", "FAILED"]
    token: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A report as it is handed out."""

    path: Path
    media_type: str
    name: str
    """What a reader may save it as."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    run_id: str
    kind: Kind
    form: Form
    version: str

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.version}.{self.form}"


class ReportDesk:
    """Makes reports in the background, one at a time, and keeps them until their run is deleted.

    Use it as ``async with``; leaving it gives up what is not complete, which the next request
    begins again. Reports are at ``folder/RUN/KIND-VERSION.FORM``.
    """

    def __init__(
        self,
        source: ReportSource,
        folder: Path,
        *,
        signer: Signer,
        clock: Clock,
        lifetime_s: int = LIFETIME_S,
        make: Maker = make_in_child,
    ) -> None:
        """Make nothing yet; the folder appears with the first report."""
        self._make_report = make
        self._source = source
        self._folder = folder
        self._signer = signer
        self._clock = clock
        self._lifetime_us = lifetime_s * 1_000_000
        self._tasks: dict[_Wanted, asyncio.Task[None]] = {}
        self._failures: dict[_Wanted, str] = {}
        self._forgotten: set[str] = set()  # runs whose report is being made still
        self._group = asyncio.TaskGroup()
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def __aenter__(self) -> Self:
        """Be ready for requests."""
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give up what is not complete."""
        for task in self._tasks.values():
            task.cancel()
        await self._group.__aexit__(kind, error, trace)

    async def request(self, run_id: str, *, kind: Kind, form: Form) -> ReportStatus:
        """Return how far a report is, and begin it where nobody has.

        The first call answers WORK_IN_PROGRESS. Later ones answer so until the report is complete;
        then COMPLETED with a fresh token. A report that cannot be made is FAILED with the reason in
        exactly one answer; the call after that tries again. A report whose run has changed since
        (accepted findings, exclusions) is made anew.

        Raises:
            BusyError: Too many are being made.
            AnalyzerError: What ``ReportSource.version`` raises: no such run, or still active.
        """
        version = await self._source.version(run_id)
        wanted = _Wanted(run_id, kind, form, version)
        if await asyncio.to_thread(self._path(wanted).is_file):
            return ReportStatus("COMPLETED", token=self._token(wanted))
        if wanted in self._failures:
            return ReportStatus("FAILED", reason=self._failures.pop(wanted))
        if wanted not in self._tasks:
            self._begin(wanted)
        return ReportStatus("WORK_IN_PROGRESS")

    async def open(self, token: str) -> ReportFile:
        """Return the file that a token gives.

        Raises:
            TokenError: The token is of nobody here or has expired, or the report is gone with its
                run; the message is fit for whoever follows the address.
        """
        grant = self._signer.grant(token, now_us=self._clock.now_us())
        path = self._folder / grant.run_id / grant.name
        if not await self._source.exists(grant.run_id):
            await self.forget(grant.run_id)
        if not await asyncio.to_thread(path.is_file):
            raise TokenError("this report is no longer there")
        kind, _, rest = grant.name.partition("-")
        form = rest.rpartition(".")[2]
        return ReportFile(path, MEDIA_TYPES[form], f"proctor-{grant.run_id}-{kind}.{form}")

    async def kept(self) -> list[str]:
        """Return the ids of runs that have reports."""
        return await asyncio.to_thread(self._kept)

    async def forget(self, run_id: str) -> None:
        """Delete the reports of a run that is deleted; what is being made goes when it is done."""
        if any(wanted.run_id == run_id for wanted in self._tasks):
            self._forgotten.add(run_id)
        for wanted in [each for each in self._failures if each.run_id == run_id]:
            del self._failures[wanted]
        await self._clear(run_id)

    def _kept(self) -> list[str]:
        return [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []

    def _begin(self, wanted: _Wanted) -> None:
        if len(self._tasks) >= MAX_WAITING:
            raise BusyError(f"{MAX_WAITING} reports are being made already; ask again later")
        task = self._group.create_task(self._make(wanted), name=f"report {wanted.run_id}")
        self._tasks[wanted] = task
        task.add_done_callback(lambda _: self._end(wanted))

    def _end(self, wanted: _Wanted) -> None:
        del self._tasks[wanted]
        if all(other.run_id != wanted.run_id for other in self._tasks):
            self._forgotten.discard(wanted.run_id)

    async def _make(self, wanted: _Wanted) -> None:
        try:
            async with self._turn:
                material = await self._source.material(wanted.run_id, wanted.kind)
                data = await self._make_report(wanted.form, material)
                await asyncio.to_thread(self._write, wanted, data)
        except AnalyzerError as error:
            self._fail(wanted, str(error))
        except Exception:
            log.exception("report.failed", extra={"run": wanted.run_id, "report": wanted.name})
            self._fail(wanted, "the report could not be made; the server's log says why")
        if wanted.run_id in self._forgotten:
            await self._clear(wanted.run_id)

    async def _clear(self, run_id: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self._folder / run_id, ignore_errors=True)

    def _fail(self, wanted: _Wanted, reason: str) -> None:
        if wanted.run_id in self._forgotten:
            return
        while len(self._failures) >= MAX_WAITING:  # nobody came back for the oldest
            del self._failures[next(iter(self._failures))]
        self._failures[wanted] = reason

    def _write(self, wanted: _Wanted, data: bytes) -> None:
        """Put the report in its place, instead of earlier ones. Blocks."""
        path = self._path(wanted)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            earlier = [
                old
                for old in path.parent.glob(f"{wanted.kind}-*.{wanted.form}")
                if old.name != path.name
            ]
            write_whole(path, data)
            for old in earlier:
                old.unlink(missing_ok=True)
        except OSError as error:
            raise AnalyzerError(f"cannot write {path}: {error.strerror}") from error

    def _path(self, wanted: _Wanted) -> Path:
        return self._folder / wanted.run_id / wanted.name

    def _token(self, wanted: _Wanted) -> str:
        until_us = self._clock.now_us() + self._lifetime_us
        return self._signer.token(Grant(wanted.run_id, wanted.name, until_us))
