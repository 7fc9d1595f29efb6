"""Sample traffic: clear-text servers and clients that the demo runs as processes of their own.

In: what to listen on and whom to call, as arguments. Out: one line on standard output for each
listener, then ``ready``. It ends with SIGTERM, or when its standard input does: its parent is gone.

    python -m analyzer.demo.sample_traffic --listen http=10.213.77.1:80 --call telnet=10.213.77.2:23
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import os
import ssl
import sys
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PERIOD_S: Final = 4.0  # from one call to the next
HOLD_S: Final = 2.0  # a call's length: longer than the agent's polls are apart
_TIMEOUT_S: Final = 3.0
_READ_BYTES: Final = 4_096

CERTIFICATE: Final = "expired-certificate.der"
KEY: Final = "expired-certificate-key.der"
"""Published, so it protects nothing: TLS only accepts a certificate together with a key."""

_GREETINGS: Final = {
    "http": b"",
    "telnet": b"sample login: ",
    "irc": b":sample NOTICE * :This is sample traffic\r\n",
    "tls": b"sample\r\n",
    "unused": b"",
}
"""What a server says first, by protocol."""
_REQUESTS: Final = {
    "http": b"GET / HTTP/1.1\r\nHost: sample\r\n\r\n",
    "telnet": b"sample\r\n",
    "irc": b"NICK sample\r\n",
    "tls": b"sample\r\n",
}
"""What a client says first, by protocol."""
_PAGE: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nsample\n"


@dataclass(frozen=True, slots=True)
class End:
    """A protocol at an address and port: ``http=10.213.77.1:80``."""

    protocol: str
    address: str
    port: int

    def __str__(self) -> str:
        """Return it as it is written as an argument."""
        return f"{self.protocol}={self.address}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> End:
        """Return what ``text`` names.

        Raises:
            ValueError: It is no ``protocol=address:port``.
        """
        protocol, _, place = text.partition("=")
        address, _, port = place.rpartition(":")
        if protocol not in _GREETINGS or not address:
            raise ValueError(text)
        return cls(protocol, address, int(port))


async def play(listen: Sequence[End], call: Sequence[End]) -> None:
    """Serve and call until cancelled; what cannot be served is said, and nobody calls it."""
    refused: set[tuple[str, int]] = set()
    async with contextlib.AsyncExitStack() as servers:
        for end in listen:
            try:
                await servers.enter_async_context(await _serve(end))
            except OSError as error:
                refused.add((end.address, end.port))
                why = os.strerror(error.errno) if error.errno else str(error)
                _say(f"skipped {end.protocol} on port {end.port} ({why})")
            else:
                _say(f"listening {end}")
        _say("ready")
        async with asyncio.TaskGroup() as calls:
            for number, end in enumerate(call):
                if (end.address, end.port) not in refused:
                    calls.create_task(_call_often(end, delay_s=0.3 * number), name=f"call {end}")
            calls.create_task(asyncio.Event().wait(), name="until cancelled")


async def _serve(end: End) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            writer.write(_GREETINGS[end.protocol])
            request = await asyncio.wait_for(reader.read(_READ_BYTES), _TIMEOUT_S)
            if end.protocol == "http" and request:
                writer.write(_PAGE)
            await asyncio.wait_for(reader.read(_READ_BYTES), HOLD_S + _TIMEOUT_S)
        with contextlib.suppress(OSError, ssl.SSLError):
            writer.close()
            await writer.wait_closed()

    context = server_context() if end.protocol == "tls" else None
    return await asyncio.start_server(answer, end.address, end.port, ssl=context)


async def _call_often(end: End, *, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    while True:
        with contextlib.suppress(OSError, TimeoutError, ssl.SSLError):
            async with asyncio.timeout(HOLD_S + _TIMEOUT_S):
                await _call(end)
        await asyncio.sleep(PERIOD_S - HOLD_S)


async def _call(end: End) -> None:
    context = None
    if end.protocol == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # it has expired, that is the point of it
    _, writer = await asyncio.open_connection(end.address, end.port, ssl=context)
    try:
        writer.write(_REQUESTS[end.protocol])
        await writer.drain()
        await asyncio.sleep(HOLD_S)
    finally:
        writer.close()
        await writer.wait_closed()


def server_context() -> ssl.SSLContext:
    """Return a TLS server's context with the certificate that expired in 2021."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="proctor-") as folder:
        path = Path(folder, "expired.pem")
        path.write_text(_pem(KEY, "EC PRIVATE KEY") + _pem(CERTIFICATE, "CERTIFICATE"))
        context.load_cert_chain(path)
    return context


def _pem(name: str, label: str) -> str:
    data = resources.files("analyzer.demo").joinpath("sample_data", name).read_bytes()
    lines = base64.encodebytes(data).decode()
    return f"-----BEGIN {label}-----\n{lines}-----END {label}-----\n"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def _play_until_alone(listen: Sequence[End], call: Sequence[End]) -> None:
    """Play until the parent closes our standard input, which it also does by dying."""
    loop = asyncio.get_running_loop()
    parent = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(parent), sys.stdin)
    async with asyncio.TaskGroup() as group:
        group.create_task(play(listen, call), name="play")
        await parent.read()
        os._exit(0)  # there is nothing to save, and the kernel ends every connection


def main() -> None:
    """Play what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m analyzer.demo.sample_traffic")
    parser.add_argument("--listen", action="append", default=[], type=End.parse)
    parser.add_argument("--call", action="append", default=[], type=End.parse)
    asked = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_play_until_alone(asked.listen, asked.call))


if __name__ == "__main__":
    main()
