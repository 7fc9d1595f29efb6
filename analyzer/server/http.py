"""HTTP: one listener of the server, in the server's own event loop.

In: an ASGI application, a place to listen. Out: requests answered until told to stop; then those
that are on their way are finished, within a bound.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import uvicorn

from analyzer.errors import ListenError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

_BACKLOG: Final = 1024
_FINISH_WITHIN_S: Final = 5
_IDLE_S: Final = 65  # longer than clients keep idle connections, so that they close them
_MOST_CONNECTIONS: Final = 500  # at once; more are told to come later
_LARGEST_HEAD: Final = 65_536  # bytes of a request's line and headers


class _Uvicorn(uvicorn.Server):
    """A server in somebody else's process: signals are that one's business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signal handlers as they are."""
        yield


class HttpListener:
    """Listens from its making on, and answers while ``run`` runs."""

    def __init__(self, host: str, port: int) -> None:
        """Take the place.

        Raises:
            ListenError: It is not to be had.
        """
        self._socket = _listen(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self._server: uvicorn.Server | None = None

    @property
    def url(self) -> str:
        """Return where clients find it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def run(self, app: ASGIApp) -> None:
        """Answer requests until ``stop``, or until cancelled."""
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            h11_max_incomplete_event_size=_LARGEST_HEAD,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=_IDLE_S,
            timeout_graceful_shutdown=_FINISH_WITHIN_S,
        )
        self._server = _Uvicorn(config)
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Let ``run`` end soon."""
        if self._server is not None:
            self._server.should_exit = True

    def close(self) -> None:
        """Give the place up."""
        self._socket.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(host, port, str(error)) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 (the socket module's own)
    except OSError as error:
        listener.close()
        raise ListenError(host, port, error.strerror or str(error)) from error
    return listener
