"""Reports of runs: asked for again and again until they are there.

In: input as ``input`` reads it. Out: how far a report is, and at last the address that it is to be
had from without credentials.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from analyzer.aws.errors import AwsError, temporarily_unavailable
from analyzer.errors import RunInProgressError, StoreError
from analyzer.model import RunState
from analyzer.reports.desk import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from analyzer.assessments import Assessments
    from analyzer.aws.values import Structure
    from analyzer.reports.desk import ReportDesk
    from analyzer.reports.material import Form
    from analyzer.reports.occasion import Kind
    from analyzer.store import Store

_LOG = logging.getLogger(__name__)
_KINDS: Final[dict[str, Kind]] = {"FINDING": "findings", "FULL": "full"}
_FORMS: Final[dict[str, Form]] = {"HTML": "html", "PDF": "pdf"}
_WITHOUT_RESULT: Final = frozenset({RunState.CANCELED, RunState.FAILED, RunState.ERROR})


@dataclass(frozen=True, slots=True)
class ReportOperations:
    """Answers for reports; ``address_of`` makes a token into an address."""

    desk: Assessments
    reports: ReportDesk
    store: Store
    address_of: Callable[[str], str]

    async def get_assessment_report(self, request: Mapping[str, Any]) -> Structure:
        """Show how far a report is; the first call begins it."""
        run = await self.desk.run(request["assessmentRunArn"])
        if not run.state.is_final:
            raise RunInProgressError((run.arn,))
        if run.state in _WITHOUT_RESULT:
            message = f"the run is {run.state} and was not judged, so there is nothing to report"
            raise AwsError("UnsupportedFeatureException", message, members={"canRetry": False})
        kind, form = _KINDS[request["reportType"]], _FORMS[request["reportFileFormat"]]
        try:
            made = await self.reports.request(run.id, kind=kind, form=form)
        except BusyError as error:
            raise temporarily_unavailable(str(error)) from error
        url = self.address_of(made.token) if made.token else None
        return {"status": made.status, "url": url}

    async def forget_deleted(self) -> None:
        """Delete the reports of runs that are no more; what fails here goes with the leftovers."""
        try:
            for run_id in await self.reports.kept():
                if await self.store.run(run_id) is None:
                    await self.reports.forget(run_id)
        except (StoreError, OSError) as error:  # the run is deleted all the same
            _LOG.warning("aws.reports_left", extra={"reason": str(error)})
