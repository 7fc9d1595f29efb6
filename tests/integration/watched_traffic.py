"""Makes traffic on loopback and watches it: a program for tests of the packet sensor.

``watched_traffic.py SCENARIO`` runs in a network namespace of its own and prints the events.
"""

import asyncio
import contextlib
import ftplib
import http.client
import http.server
import imaplib
import poplib
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from agent.collect import HostCollector
from agent.config import Settings
from agent.events_file import encode_event
from agent.sensors import packet_capture
from rules.telemetry import Event, SystemClock
from tests.certificates import make_certificate, private_key
from tests.dns_messages import address, dns

LOOPBACK = "127.0.0.1"
IMDS = ("169.254.169.254", "fd00:ec2::254")
KINDS = frozenset({"connection", "tls_session", "imds_request", "dns_answer", "aws_call"})
VERSIONS = (
    ssl.TLSVersion.TLSv1,
    ssl.TLSVersion.TLSv1_1,
    ssl.TLSVersion.TLSv1_2,
    ssl.TLSVersion.TLSv1_3,
)
EACH = 25  # handshakes of each version, with a small and with a large hello
REQUESTS = 100
PATIENCE_S = 60  # of clients on a machine that has other things to do
LAST_PORT = 20_999
BULK_BYTES = 200_000_000
MANY_PROTOCOLS = [f"protocol-{number:04}" for number in range(150)]  # a hello of 2 KB
Answer = Callable[[socket.socket], None]


def serve(port: int, answer: Answer, *, host: str = LOOPBACK) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=64)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                answer(connection)

    threading.Thread(target=accept, daemon=True).start()


def replies(*lines: bytes) -> Answer:
    """Answer with one line at first and one for each that comes."""

    def answer(connection: socket.socket) -> None:
        with connection.makefile("rwb", buffering=0) as file:
            for number, line in enumerate(lines):
                if number or line:
                    file.write(line)
                if number < len(lines) - 1 and not file.readline():
                    return

    return answer


def make_context(version: ssl.TLSVersion, purpose: int) -> ssl.SSLContext:
    context = ssl.SSLContext(purpose)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    return context


def tls() -> None:
    start_servers()
    for number in range(EACH * 2):
        for port in range(9_440, 9_444):
            handshake(port, large=number % 2 == 1)


def start_servers() -> None:
    """Listen with one version of TLS for each port."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "both.pem"
        key = private_key("rsa-2048").private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        certificate = make_certificate("rsa-2048").public_bytes(serialization.Encoding.PEM)
        path.write_bytes(certificate + key)
        for port, version in enumerate(VERSIONS, start=9_440):
            context = make_context(version, ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(path)
            serve(port, lambda each, context=context: shake(context, each))  # type: ignore[misc]


def shake(context: ssl.SSLContext, connection: socket.socket) -> None:
    with context.wrap_socket(connection, server_side=True) as secure:
        secure.recv(16)
        secure.sendall(b"ok")


def handshake(port: int, *, large: bool) -> None:
    context = make_context(ssl.TLSVersion.TLSv1_3, ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if large:
        context.set_alpn_protocols(MANY_PROTOCOLS)
    with (
        socket.create_connection((LOOPBACK, port)) as plain,
        context.wrap_socket(plain, server_hostname=f"h{port}.example.test") as secure,
    ):
        secure.sendall(b"x")
        secure.recv(16)


def imds() -> None:
    def answer(connection: socket.socket) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            data = connection.recv(4_096)
            if not data:
                return
            received += data
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    for host in IMDS:
        serve(80, answer, host=host)
    token = {"X-aws-ec2-metadata-token": "AQAE"}
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    for _ in range(REQUESTS // 2):
        for host in IMDS:
            request(host, "GET /latest/meta-data/", {})
            request(host, "PUT /latest/api/token", lifetime)
            request(host, "GET /latest/dynamic/instance-identity/document", token)


def request(host: str, line: str, headers: dict[str, str], *, port: int = 80) -> None:
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
    method, path = line.split()
    connection.request(method, path, headers=headers)
    connection.getresponse().read()
    connection.close()


def clear() -> None:
    """Speak clear text with this library's own clients, each on a port that is not its own."""
    web = http.server.ThreadingHTTPServer((LOOPBACK, 20_080), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    request(LOOPBACK, "HEAD /", {"Host": "s3.eu-central-1.amazonaws.com"}, port=20_080)

    serve(20_025, replies(b"220 mail.example.test\r\n", b"250 hello\r\n", b"221 bye\r\n"))
    with smtplib.SMTP(LOOPBACK, 20_025, timeout=PATIENCE_S) as mail:
        mail.ehlo()
    serve(20_021, replies(b"220 ready\r\n", b"331 password\r\n", b"230 in\r\n", b"221 bye\r\n"))
    with ftplib.FTP(timeout=PATIENCE_S) as ftp:  # noqa: S321 (clear text is the point)
        ftp.connect(LOOPBACK, 20_021)
        ftp.login("me", "secret")
    serve(20_110, replies(b"+OK ready\r\n", b"+OK\r\n", b"+OK bye\r\n"))
    pop = poplib.POP3(LOOPBACK, 20_110, timeout=PATIENCE_S)
    pop.user("me")
    pop.quit()
    serve(20_143, imap)
    with imaplib.IMAP4(LOOPBACK, 20_143, timeout=PATIENCE_S):
        pass
    serve(20_023, replies(b"\xff\xfd\x18\xff\xfd\x20login: ", b"Password: "))
    say(20_023, b"\xff\xfc\x18\xff\xfc\x20", b"me\r\n")
    serve(26_379, replies(b"", b"+PONG\r\n"))
    say(26_379, b"PING\r\n")
    serve(20_513, replies(b"", b"\0"))
    say(20_513, b"\0me\0you\0xterm/38400\0\n")


def imap(connection: socket.socket) -> None:
    with connection.makefile("rwb", buffering=0) as file:
        file.write(b"* OK ready\r\n")
        while line := file.readline():
            tag = line.split()[0]
            answer = b"* CAPABILITY IMAP4rev1\r\n" if b"CAPABILITY" in line else b"* BYE\r\n"
            file.write(answer + tag + b" OK done\r\n")


def say(port: int, *pieces: bytes) -> None:
    with socket.create_connection((LOOPBACK, port), timeout=PATIENCE_S) as connection:
        for piece in pieces:
            connection.sendall(piece)
            connection.recv(64)


def names() -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((LOOPBACK, 53))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((LOOPBACK, 53))
        client.send(dns("www.example.test", flags=0x0100))
        _, peer = server.recvfrom(512)
        server.sendto(dns("www.example.test", [address("192.0.2.7"), address("::2")]), peer)
        client.recv(512)
    server.close()


def bulk() -> None:
    piece = bytes(1 << 20)

    def answer(connection: socket.socket) -> None:
        for _ in range(BULK_BYTES // len(piece)):
            connection.sendall(piece)

    serve(20_000, answer)
    with socket.create_connection((LOOPBACK, 20_000)) as connection:
        while connection.recv(1 << 20):
            pass


SCENARIOS: dict[str, Sequence[Callable[[], None]]] = {
    "all": (tls, imds, clear, names),
    "by_content": (tls, imds, names),
    "bulk": (bulk,),
    "probed": (start_servers,),
}


@contextlib.contextmanager
def host() -> Iterator[None]:
    """Set loopback up so that nothing is sent in larger pieces than a network would carry."""
    commands = ["link set lo up mtu 1500 gso_max_segs 1"]
    commands += [f"address add {each} dev lo" for each in (f"{IMDS[0]}/32", f"{IMDS[1]}/128")]
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)  # noqa: S607
    yield


async def watch(scenario: str) -> list[Event]:
    if scenario == "by_content":
        setattr(packet_capture, "create_flow_map", _refuse)  # noqa: B010 (it is not its own)
    collector = HostCollector(SystemClock(), Settings(probe=scenario == "probed"))
    await collector.start(KINDS)
    for traffic in SCENARIOS[scenario]:
        await asyncio.to_thread(traffic)
    events: list[Event] = []
    if scenario == "probed":
        while len(probed(events)) < len(VERSIONS):
            await hear(collector, events)
    await hear_all(collector, events)
    await collector.stop()
    for row in collector.coverage(0, 1):
        lost = {name: count for name, count in (row.lost or {}).items() if count}
        sys.stderr.write(f"{row.sensor} {row.state} {lost}\n")
    return [*events, *collector.drain()]


async def hear(collector: HostCollector, events: list[Event]) -> list[Event]:
    """Wait a moment; return what was told meanwhile, and add it to ``events``."""
    await asyncio.sleep(0.1)
    told = collector.drain()
    events += told
    return told


def probed(events: Sequence[Event]) -> set[object]:
    """Return the ports whose listeners have answered the probe."""
    return {each.values["local_port"] for each in events if each.kind == "tls_session"}


async def hear_all(collector: HostCollector, events: list[Event]) -> None:
    """Add to ``events`` all that is told until the packets of one last connection are.

    Its end is told once those packets are, unless they came so late that it waited in vain.
    """
    web = http.server.ThreadingHTTPServer((LOOPBACK, LAST_PORT), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    last: list[str | None] = [None]
    while last[-1] is None:
        await asyncio.to_thread(request, LOOPBACK, "HEAD /", {}, port=LAST_PORT)
        last = []
        while not last:
            last = [
                event.values.get("app_protocol")
                for event in await hear(collector, events)
                if event.values.get("remote_port") == LAST_PORT
                and event.values.get("state") == "closed"
            ]


def _refuse(*_: object, **__: object) -> int:
    raise PermissionError(1, "Operation not permitted")


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # old versions of TLS are the point
    with host():
        for event in asyncio.run(watch(sys.argv[1])):
            sys.stdout.buffer.write(encode_event(event) + b"\n")
