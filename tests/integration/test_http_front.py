"""Bytes of any kind reach a served process: it answers or hangs up, and goes on serving others."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from urllib.parse import urlsplit

import pytest

from analyzer.access import CredentialsFile
from tests.aws_calls import Asking, sign
from tests.aws_server import AwsServer, aws_server

pytestmark = [pytest.mark.timeout(120), pytest.mark.allow_blocking]
PATIENCE_S = 30
REST_S = 0.3
TRIES = 300
FAULT = 500
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
ODD = {
    "nothing": b"",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "line feeds": b"\n" * 5_000,
    "old HTTP": b"GET /healthz HTTP/1.0\r\n\r\n",
    "new HTTP": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "wrong length": POST + b"Content-Length: -1\r\n\r\n{}",
    "wrong chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
    "large header": POST + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
    "many headers": POST + b"A: b\r\n" * 20_000 + b"\r\n",
    "two requests": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2,
    "walk": b"GET /reports/../../credentials HTTP/1.1\r\nHost: x\r\n\r\n",
    "encoded walk": b"GET /reports/%2e%2e%2fcredentials HTTP/1.1\r\nHost: x\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    with aws_server(tmp_path_factory.mktemp("http")) as server:
        yield server


def reply_to(server: AwsServer, data: bytes, *, rest_s: float = REST_S) -> bytes:
    """Return what comes back until the server hangs up, which it does in time.

    It may wait for the rest of a request; told after rest_s of silence that there is none, it
    hangs up, and leaves unanswered what it was still at work on.
    """
    place = urlsplit(server.note.api_url)
    received = b""
    with socket.create_connection((str(place.hostname), place.port or 0), PATIENCE_S) as wire:
        try:
            wire.sendall(data)
            wire.settimeout(rest_s)
            while part := _read(wire):
                received += part
        except (ConnectionResetError, BrokenPipeError):
            pass  # hung up before it had read everything
    return received


def _read(wire: socket.socket) -> bytes:
    try:
        return wire.recv(65_536)
    except TimeoutError:
        with suppress(OSError):  # hung up in this moment
            wire.shutdown(socket.SHUT_WR)
        wire.settimeout(PATIENCE_S)
        return wire.recv(65_536)


def answer_to(server: AwsServer, whole: bytes) -> list[int]:
    """Return the statuses of the answer to a whole request, however long it takes."""
    return statuses(reply_to(server, whole, rest_s=PATIENCE_S))


def statuses(reply: bytes) -> list[int]:
    lines = [line for line in reply.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return [int(line.split()[1]) for line in lines]


def signed_request(server: AwsServer) -> bytes:
    key = CredentialsFile(server.data.credentials).read()[0]
    host = urlsplit(server.note.api_url).netloc
    asking = Asking("ListRulesPackages", b"{}", headers={"Host": host})
    headers = sign(asking, key, at=datetime.now(UTC)) | {
        "Content-Length": "2",
        "Connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST / HTTP/1.1\r\n{head}\r\n".encode() + b"{}"


@pytest.mark.parametrize("name", ODD)
def test_odd_bytes_are_answered_or_hung_up_on(server: AwsServer, name: str) -> None:
    assert all(status < FAULT for status in statuses(reply_to(server, ODD[name])))


def test_damaged_requests_are_answered_or_hung_up_on(server: AwsServer) -> None:
    rng = Random(7)
    whole = signed_request(server)
    assert answer_to(server, whole) == [200]

    for _ in range(TRIES):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 5)):
            place = rng.randrange(len(damaged))
            damaged[place : place + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        assert all(status < FAULT for status in statuses(reply_to(server, bytes(damaged))))

    assert answer_to(server, whole) == [200]
    assert "Traceback" not in (server.folder / "serve.log").read_text()


def test_clients_that_wait_hold_up_nobody(server: AwsServer) -> None:
    place = urlsplit(server.note.api_url)
    idle = [
        socket.create_connection((str(place.hostname), place.port or 0), PATIENCE_S)
        for _ in range(50)
    ]
    try:
        for wire in idle:
            wire.sendall(POST + b"Content-Length: 10\r\n\r\n{")
        assert answer_to(server, signed_request(server)) == [200]
    finally:
        for wire in idle:
            wire.close()
