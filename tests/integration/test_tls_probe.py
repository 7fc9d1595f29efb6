"""The probe of own listeners, against real TLS servers and services that speak something else."""

import asyncio
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.decode.cipher_suites import CIPHER_SUITES
from agent.decode.tls import TlsVersion
from agent.sensors.destroy_events import DestroyEvents
from agent.sensors.socket_rows import ClosedSocket
from agent.sensors.tls_exchange import Endpoint
from agent.sensors.tls_probe import VERSIONS, Outcome, ProbeResult, probe_listener
from tests.certificates import write_pair
from tests.tls_messages import message, record, tls13_hello

LOOPBACK = "127.0.0.1"
PATIENCE_S = 30  # on a machine that has other things to do
LIBRARY_VERSIONS: dict[TlsVersion, ssl.TLSVersion] = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
Answer = Callable[[socket.socket], None]


class Service:
    """A listener that answers each connection in turn, and counts them."""

    def __init__(self, server: socket.socket, answer: Answer) -> None:
        self.port = int(server.getsockname()[1])
        self.connections = 0
        self._server = server
        self._answer = answer

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                self.connections += 1
                self._answer(connection)


@contextmanager
def listening(answer: Answer, address: str = LOOPBACK) -> Iterator[Service]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        running = Service(server, answer)
        thread = threading.Thread(target=running.serve, name="service")
        thread.start()
        try:
            yield running
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def tls(folder: Path, oldest: TlsVersion, newest: TlsVersion, *, days_left: int = 30) -> Answer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_pair(folder, "rsa-2048", days_left=days_left))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = LIBRARY_VERSIONS[oldest]
        context.maximum_version = LIBRARY_VERSIONS[newest]

    def answer(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as encrypted:
                encrypted.recv(1)
        except OSError:
            return

    return answer


def answer_http(connection: socket.socket) -> None:
    connection.recv(1_000)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def answer_ssh(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    connection.recv(1_000)


def answer_nothing(connection: socket.socket) -> None:
    connection.settimeout(5)
    try:
        while connection.recv(1_000):
            pass
    except ConnectionResetError:
        return


def hang_up(connection: socket.socket) -> None:
    connection.recv(1_000)


def reset(connection: socket.socket) -> None:
    connection.recv(1)  # closing with unread bytes resets the connection


def answer_hello(connection: socket.socket) -> None:
    connection.recv(1_000)
    connection.sendall(record(message(2, tls13_hello())))


def outcomes(results: list[ProbeResult]) -> dict[TlsVersion, Outcome]:
    return {each.tls_version: each.outcome for each in results}


@pytest.mark.parametrize(
    ("oldest", "newest"),
    [
        ("TLSv1.0", "TLSv1.0"),
        ("TLSv1.0", "TLSv1.2"),
        ("TLSv1.1", "TLSv1.3"),
        ("TLSv1.2", "TLSv1.2"),
        ("TLSv1.2", "TLSv1.3"),
    ],
)
async def test_offered_versions(tmp_path: Path, oldest: TlsVersion, newest: TlsVersion) -> None:
    with listening(tls(tmp_path, oldest, newest)) as server:
        results = await probe_listener(LOOPBACK, server.port, timeout_s=PATIENCE_S)

    begin, end = VERSIONS.index(newest), VERSIONS.index(oldest)
    assert outcomes(results) == {
        version: "offered" if begin <= place <= end else "refused"
        for place, version in enumerate(VERSIONS)
    }
    offered = [each for each in results if each.outcome == "offered"]
    assert all(each.cipher_code in CIPHER_SUITES for each in offered)
    assert all(each.certificate for each in offered if each.tls_version != "TLSv1.3")
    # An answer with TLS 1.0 to a hello of TLS 1.2 says enough of TLS 1.1.
    assert server.connections == (3 if newest == "TLSv1.0" else 5)


async def test_expired_certificate_of_tls12(tmp_path: Path) -> None:
    with listening(tls(tmp_path, "TLSv1.2", "TLSv1.2", days_left=-3)) as server:
        results = await probe_listener(LOOPBACK, server.port, timeout_s=PATIENCE_S)

    certificate = results[1].certificate
    assert certificate is not None
    assert certificate.not_after_us < time.time_ns() // 1_000 - 2 * 86_400_000_000
    assert (certificate.key_type, certificate.key_bits) == ("rsa", 2_048)
    assert certificate.self_signed


async def test_expired_certificate_of_tls13_alone(tmp_path: Path) -> None:
    with listening(tls(tmp_path, "TLSv1.3", "TLSv1.3", days_left=-3)) as server:
        results = await probe_listener(
            LOOPBACK, server.port, timeout_s=PATIENCE_S, server_name="service.example"
        )

    certificate = results[0].certificate
    assert certificate is not None
    assert certificate.not_after_us < time.time_ns() // 1_000
    assert results[0].certificate_unseen is None
    assert outcomes(results[1:]) == dict.fromkeys(VERSIONS[1:], "refused")


async def test_certificate_of_tls13_beside_tls12_stays_unseen(tmp_path: Path) -> None:
    with listening(tls(tmp_path, "TLSv1.2", "TLSv1.3")) as server:
        newest, older, *_ = await probe_listener(LOOPBACK, server.port, timeout_s=PATIENCE_S)

    assert newest.certificate_unseen == "encrypted"
    assert older.certificate is not None


@pytest.mark.parametrize(
    ("answer", "reason", "timeout_s"),
    [
        (answer_http, "no_tls", PATIENCE_S),
        (answer_ssh, "no_tls", PATIENCE_S),
        (answer_nothing, "silent", 0.3),
        (hang_up, "closed", PATIENCE_S),
        (reset, "closed", PATIENCE_S),
    ],
)
async def test_plain_service_is_asked_once(answer: Answer, reason: str, timeout_s: float) -> None:
    with listening(answer) as server:
        results = await probe_listener(LOOPBACK, server.port, timeout_s=timeout_s)

    assert [(each.outcome, each.reason) for each in results] == [("not_tls", reason)]
    assert server.connections == 1


async def test_server_that_breaks_off_shows_no_certificate() -> None:
    with listening(answer_hello) as server:
        newest, *rest = await probe_listener(LOOPBACK, server.port, timeout_s=PATIENCE_S)

    assert (newest.outcome, newest.certificate_unseen) == ("offered", "encrypted")
    assert {(each.outcome, each.reason) for each in rest} == {("untested", "no_tls")}


async def test_listener_that_is_gone_is_untested() -> None:
    with socket.create_server((LOOPBACK, 0)) as gone:
        port = int(gone.getsockname()[1])

    (result,) = await probe_listener(LOOPBACK, port, timeout_s=PATIENCE_S)

    assert (result.outcome, result.reason) == ("untested", "Connection refused")


async def test_other_hosts_are_never_asked() -> None:
    (result,) = await probe_listener("203.0.113.1", 443, timeout_s=PATIENCE_S)

    assert (result.outcome, result.asking) == ("untested", None)
    assert result.reason == "Cannot assign requested address"


async def test_full_backlog_is_untested() -> None:
    with socket.create_server((LOOPBACK, 0), backlog=0) as server:
        address = server.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.settimeout(0)
            each.connect_ex(address)
        (result,) = await probe_listener(LOOPBACK, address[1], timeout_s=0.3)
        for each in waiting:
            each.close()

    assert (result.outcome, result.reason) == ("untested", "timeout")


@pytest.mark.parametrize(("bound", "asked"), [("0.0.0.0", LOOPBACK), ("::", "::1")])  # noqa: S104
async def test_any_address_is_asked_at_loopback(tmp_path: Path, bound: str, asked: str) -> None:
    with listening(tls(tmp_path, "TLSv1.3", "TLSv1.3"), bound) as server:
        results = await probe_listener(bound, server.port, timeout_s=PATIENCE_S)

    assert results[0].outcome == "offered"
    assert {each.answering for each in results} == {(asked, server.port)}


async def test_listener_of_both_families_is_asked_over_ipv4_too(tmp_path: Path) -> None:
    """A listener of IPv4 stands for one of both families on a host without IPv6 at loopback."""
    with listening(tls(tmp_path, "TLSv1.3", "TLSv1.3")) as server:
        results = await probe_listener("::", server.port, timeout_s=PATIENCE_S)

    assert results[0].outcome == "offered"
    assert results[0].answering == (LOOPBACK, server.port)


async def test_caller_knows_every_connection_beforehand(tmp_path: Path) -> None:
    told: list[tuple[Endpoint, Endpoint, int]] = []

    def enter(asking: Endpoint, answering: Endpoint, cookie: int) -> None:
        told.append((asking, answering, cookie))

    with DestroyEvents() as events:
        with listening(tls(tmp_path, "TLSv1.3", "TLSv1.3")) as server:
            results = await probe_listener(
                LOOPBACK, server.port, timeout_s=PATIENCE_S, on_connection=enter
            )
        closed: list[ClosedSocket] = []
        while len(closed) < len(told):
            await asyncio.sleep(0.01)
            closed += [each for each in events.drain() if each.remote_port == server.port]

    assert len(told) == 6
    assert {asking for asking, _, _ in told} >= {each.asking for each in results}
    assert {answering for _, answering, _ in told} == {(LOOPBACK, server.port)}
    assert {cookie for _, _, cookie in told} == {each.cookie for each in closed}


@contextmanager
def openssl_server(program: Path, folder: Path, *options: str) -> Iterator[int]:
    """Run ``openssl s_server`` with an RSA certificate until the block ends; give its port."""
    with socket.create_server((LOOPBACK, 0)) as free:
        port = int(free.getsockname()[1])
    certificate, key = write_pair(folder, "rsa-2048")
    command: list[str | Path] = [program, "s_server", "-accept", f"{LOOPBACK}:{port}", *options]
    command += ["-cert", certificate, "-key", key]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        for line in server.stdout:
            if line.startswith(b"ACCEPT"):
                break
        try:
            yield port
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("options", "suite", "unseen"),
    [
        (["-cipher", "AECDH-AES128-SHA:@SECLEVEL=0"], "TLS_ECDH_anon_WITH_AES_128_CBC_SHA", True),
        (["-cipher", "NULL-SHA256:@SECLEVEL=0"], "TLS_RSA_WITH_NULL_SHA256", False),
        (["-cipher", "AES128-SHA", "-Verify", "1"], "TLS_RSA_WITH_AES_128_CBC_SHA", False),
    ],
)
async def test_openssl_server_with_one_suite(
    tmp_path: Path,
    service: Callable[[str], Path],
    options: list[str],
    suite: str,
    *,
    unseen: bool,
) -> None:
    with openssl_server(service("openssl"), tmp_path, "-tls1_2", *options) as port:
        newest, older, *rest = await probe_listener(LOOPBACK, port, timeout_s=PATIENCE_S)

    assert {newest.outcome, *(each.outcome for each in rest)} == {"refused"}
    assert (older.outcome, older.cipher_suite) == ("offered", suite)
    assert older.certificate_unseen == ("not_sent" if unseen else None)


async def test_openssl_server_that_wants_a_client_certificate(
    tmp_path: Path, service: Callable[[str], Path]
) -> None:
    with openssl_server(service("openssl"), tmp_path, "-tls1_3", "-Verify", "1") as port:
        newest, *_ = await probe_listener(LOOPBACK, port, timeout_s=PATIENCE_S)

    assert newest.outcome == "offered"
    assert newest.certificate is not None


def test_cipher_suites_equal_those_of_openssl(service: Callable[[str], Path]) -> None:
    suites = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
    command: list[str | Path] = [service("openssl"), "ciphers", "-V", "-stdname", suites]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    theirs: dict[int, str] = {}
    for line in lines:
        number, _, name = line.split()[:3]
        theirs[int(number.replace(",0x", ""), 16)] = name

    ours = {code: CIPHER_SUITES[code] for code in theirs if code in CIPHER_SUITES}
    left_out = [name for code, name in theirs.items() if code not in CIPHER_SUITES]

    assert len(ours) > 80
    assert ours == {code: theirs[code] for code in ours}
    assert [name for name in left_out if not set(name.split("_")) & {"PSK", "SRP", "ARIA"}] == []
