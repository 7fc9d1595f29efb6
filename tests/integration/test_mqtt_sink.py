"""The MQTT sink against what goes wrong with real connections: silence, hang-ups, TLS."""

import asyncio
import contextlib
import gc
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.config import Settings
from agent.errors import ConfigError, SinkError
from agent.sinks import Message
from agent.sinks.mqtt import MqttSink
from tests import brokers
from tests.certificates import name_of

WILL = Message("status/one", b"offline")


@contextlib.contextmanager
def _server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run a server that is no broker: ``answer`` is all it does with a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    answer(listener.accept()[0])

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"mqtt://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


async def _open(settings: Settings) -> None:
    sink = await asyncio.to_thread(MqttSink, settings, identifier="one")  # reads certificates
    async with sink.open(topics=["ack/one"], will=WILL) as session:
        await session.publish("ack/one", b"x")
        async with contextlib.aclosing(session.messages()) as messages:
            assert await anext(messages) == Message("ack/one", b"x")


async def test_server_that_hangs_up_fails_at_once() -> None:
    with _server(lambda connection: connection.close()) as url:
        async with asyncio.timeout(15):
            with pytest.raises(SinkError, match="ended before the broker answered"):
                await _open(Settings(broker_url=url, connect_timeout_s=60))


async def test_server_that_says_nothing_fails_in_time_and_leaves_nothing_behind() -> None:
    kept: list[socket.socket] = []
    with _server(kept.append) as url:
        for _ in range(3):
            with pytest.raises(SinkError, match="timed out"):
                await _open(Settings(broker_url=url, connect_timeout_s=0.1))
        await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == {asyncio.current_task()}
    for connection in kept:
        with connection:
            connection.settimeout(1)
            while connection.recv(100):  # what was sent, then the end: the client let go of it
                pass


class Papers:
    """A certificate that stands for itself, and its key, as files."""

    def __init__(self, folder: Path, name: str) -> None:
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name_of(name))
            .issuer_name(name_of(name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(address, critical=False)
            .add_extension(identifier, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        self.certificate.write_bytes(certificate.public_bytes(pem))
        self.key.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )


@pytest.fixture
def papers(tmp_path: Path) -> tuple[Papers, Papers]:
    return Papers(tmp_path, "server"), Papers(tmp_path, "agent")


@pytest.fixture
def tls_url(
    service: Callable[[str], Path], papers: tuple[Papers, Papers], tmp_path: Path
) -> Iterator[str]:
    """Run a broker that asks for the agent's certificate."""
    server, client = papers
    extra = (
        f"cafile {client.certificate}\ncertfile {server.certificate}\nkeyfile {server.key}\n"
        "require_certificate true\n"
    )
    with brokers.running("mosquitto", service("mosquitto"), tmp_path, extra=extra) as broker:
        yield broker.url.replace("mqtt:", "mqtts:")


async def test_broker_and_agent_know_each_other_by_certificate(
    tls_url: str, papers: tuple[Papers, Papers]
) -> None:
    server, client = papers
    settings = Settings(
        broker_url=tls_url,
        broker_ca_file=str(server.certificate),
        broker_cert_file=str(client.certificate),
        broker_key_file=str(client.key),
    )
    async with asyncio.timeout(15):
        await _open(settings)


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")
async def test_broker_with_a_strange_certificate_is_refused(
    tls_url: str, papers: tuple[Papers, Papers]
) -> None:
    _, client = papers
    settings = Settings(broker_url=tls_url, broker_ca_file=str(client.certificate))
    sink = await asyncio.to_thread(MqttSink, settings, identifier="one")
    with pytest.raises(SinkError, match="CERTIFICATE_VERIFY_FAILED"):
        async with sink.open(topics=[], will=WILL):
            pass
    gc.collect()


async def test_agent_without_certificate_is_refused(
    tls_url: str, papers: tuple[Papers, Papers]
) -> None:
    server, _ = papers
    settings = Settings(
        broker_url=tls_url, broker_ca_file=str(server.certificate), connect_timeout_s=60
    )
    sink = await asyncio.to_thread(MqttSink, settings, identifier="one")
    async with asyncio.timeout(15):
        with pytest.raises(SinkError):
            async with sink.open(topics=[], will=WILL):
                pass


def test_certificate_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    settings = Settings(broker_url="mqtts://b", broker_ca_file=str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="cannot be used"):
        MqttSink(settings, identifier="one")
