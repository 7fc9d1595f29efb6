"""The front: what a server shows to the outside over HTTP, put together.

In: a store, a data folder, a listener. Out: the AWS API, health and reports, served until told to
stop; requests that are on their way then are finished first.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from analyzer.access import AuditLog, CredentialsFile, KeyRing, new_key
from analyzer.aws.operations import ReportOperations, handlers
from analyzer.aws.protocol import AwsEndpoint
from analyzer.aws.refusals import refusal
from analyzer.aws.sigv4 import Verifier
from analyzer.notify.sns import SnsNotifier
from analyzer.reports.desk import ReportDesk
from analyzer.reports.stored import StoredReports
from analyzer.reports.tokens import signer_of
from analyzer.runs.desk import RunDesk
from analyzer.server.routes import build_app, report_path, report_route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp

    from analyzer.assessments import Assessments
    from analyzer.data_folder import DataFolder
    from analyzer.server.http import HttpListener
    from analyzer.store import Store
    from rules.telemetry import Clock

FIRST_KEY: Final = "proctor"
"""The profile that the first start writes."""


class Front:
    """Everything of a server that speaks HTTP."""

    def __init__(self, listener: HttpListener, app: ASGIApp, keys: KeyRing) -> None:
        """Answer nothing before ``run``."""
        self._listener = listener
        self._app = app
        self._keys = keys

    async def run(self) -> None:
        """Answer requests until ``stop``, or until cancelled."""
        await self._listener.run(self._app)

    async def watch_keys(self) -> None:
        """Take up changes of the credentials file until cancelled."""
        await self._keys.watch()

    def stop(self) -> None:
        """Let ``run`` end soon."""
        self._listener.stop()


@asynccontextmanager
async def open_front(
    listener: HttpListener,
    *,
    folder: DataFolder,
    store: Store,
    desk: Assessments,
    clock: Clock,
    public_url: str | None = None,
) -> AsyncIterator[Front]:
    """Put the front of a server together; the first time, with its first access key.

    Args:
        listener: Where it listens.
        folder: Where keys, audit log and reports are.
        store: Of the runs that reports are about.
        desk: What answers.
        clock: Time.
        public_url: How clients reach the listener; None = as it says itself.

    Raises:
        AnalyzerError: Keys cannot be kept in the data folder.
    """
    file = CredentialsFile(folder.credentials)
    await asyncio.to_thread(file.begin, new_key(FIRST_KEY))
    signer = await asyncio.to_thread(signer_of, folder.report_key)
    keys = KeyRing(file)
    source = StoredReports(RunDesk(store, folder, clock=clock), store, clock=clock)
    base = (public_url or listener.url).rstrip("/")

    def address_of(token: str) -> str:
        return base + report_path(token)

    async with AsyncExitStack() as stack:
        reports = await stack.enter_async_context(
            ReportDesk(source, folder.reports, signer=signer, clock=clock)
        )
        topics = SnsNotifier()
        stack.push_async_callback(topics.close)
        endpoint = AwsEndpoint(
            handlers=handlers(
                desk,
                reports=ReportOperations(desk, reports, store, address_of),
                check_topic=topics.check,
                clock=clock,
            ),
            translate=refusal,
            verifier=Verifier(keys=keys, clock=clock, region=desk.arns.region),
            audit=AuditLog(folder.audit),
            clock=clock,
            account=desk.arns.account,
        )
        yield Front(listener, build_app(endpoint, routes=[report_route(reports)]), keys)
