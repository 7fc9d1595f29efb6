"""The server's HTTP interface: which path leads where.

In: what answers each path. Out: one ASGI application. What is at no path gets 404 in JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route

from analyzer.reports.tokens import TokenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from analyzer.reports.desk import ReportDesk

_NOT_FOUND: Final = 404
_REPORT_HEADERS: Final = {
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",  # the address is all that it takes to read the report
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def build_app(aws: ASGIApp, *, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the application: the AWS API at ``/``, health, and further routes."""
    return Starlette(
        routes=[Route("/", aws), Route("/healthz", _healthy, methods=["GET"]), *routes],
        exception_handlers={HTTPException: _refuse},
    )


def report_path(token: str) -> str:
    """Return where the report that a token gives is to be had."""
    return f"/reports/{token}"


def report_route(desk: ReportDesk) -> Route:
    """Return the route that hands out reports to whoever has their address."""

    async def hand_out(request: Request) -> Response:
        try:
            file = await desk.open(request.path_params["token"])
        except TokenError as error:
            raise HTTPException(_NOT_FOUND, str(error)) from error
        return FileResponse(
            file.path,
            media_type=file.media_type,
            filename=file.name,
            content_disposition_type="inline",
            headers=_REPORT_HEADERS,
        )

    return Route(report_path("{token}"), hand_out, methods=["GET"])


async def _healthy(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _refuse(_: Request, error: Exception) -> Response:
    status, text, headers = 500, "", None
    if isinstance(error, HTTPException):
        status, text, headers = error.status_code, error.detail, error.headers
    return JSONResponse({"message": text}, status_code=status, headers=headers)
