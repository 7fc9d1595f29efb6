"""A ClientHello is right if a real TLS library answers it with what was asked for."""

import os
import ssl
import warnings
from pathlib import Path
from random import Random

import pytest

from agent.decode.client_hello import build_client_hello
from agent.decode.server_answer import ServerAnswer
from agent.decode.tls import TlsVersion
from tests.certificates import write_pair

VERSIONS: dict[TlsVersion, ssl.TLSVersion] = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


def server_context(folder: Path, version: TlsVersion, kind: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_pair(folder, kind))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = VERSIONS[version]
    return context


def ask(context: ssl.SSLContext, hello: bytes) -> ServerAnswer:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(hello)
    with pytest.raises(ssl.SSLError):  # it waits for more, or refuses
        server.do_handshake()
    answer = ServerAnswer()
    answer.feed(outgoing.read())
    return answer


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["rsa-2048", "ec-secp256r1"])
def test_library_answers_with_the_version(folder: Path, version: TlsVersion, kind: str) -> None:
    context = server_context(folder, version, kind)

    answer = ask(context, build_client_hello(version, random_bytes=os.urandom))

    assert answer.hello is not None
    assert answer.hello.tls_version == version
    assert not answer.hello.is_retry
    assert (answer.leaf is None) == (version == "TLSv1.3")


def test_library_asks_for_another_key_share(folder: Path) -> None:
    context = server_context(folder, "TLSv1.3", "ec-secp256r1")
    context.set_ecdh_curve("secp384r1")

    answer = ask(context, build_client_hello("TLSv1.3", random_bytes=os.urandom))

    assert answer.hello is not None
    assert (answer.hello.tls_version, answer.hello.is_retry) == ("TLSv1.3", True)


def test_library_refuses_a_version_it_does_not_offer(folder: Path) -> None:
    context = server_context(folder, "TLSv1.3", "ed25519")

    answer = ask(context, build_client_hello("TLSv1.2", random_bytes=os.urandom))

    assert answer.alert is not None
    assert answer.alert.name == "protocol_version"


def test_server_name_is_sent(folder: Path) -> None:
    context = server_context(folder, "TLSv1.2", "ec-secp256r1")
    seen: list[str | None] = []
    context.sni_callback = lambda _object, name, _context: seen.append(name)

    for name in ("service.example", "192.0.2.1", "2001:db8::1", None):
        ask(context, build_client_hello("TLSv1.2", random_bytes=os.urandom, server_name=name))

    assert seen == ["service.example", None, None, None]


def test_old_hello_has_no_extensions() -> None:
    hello = build_client_hello("SSLv3", random_bytes=os.urandom, server_name="service.example")

    assert hello[:3] == b"\x16\x03\x00"
    assert hello.endswith(b"\x00\xff\x01\x00")


@pytest.mark.parametrize("version", ["SSLv3", *VERSIONS])
def test_hello_depends_on_nothing_but_its_random_bytes(version: TlsVersion) -> None:
    first, second = (
        build_client_hello(version, random_bytes=Random(7).randbytes) for _ in range(2)
    )

    assert first == second
    assert len(first) == 5 + int.from_bytes(first[3:5], "big")


@pytest.mark.parametrize("seed", range(8))
def test_any_random_bytes_give_a_valid_point(folder: Path, seed: int) -> None:
    context = server_context(folder, "TLSv1.3", "ec-secp256r1")
    context.set_ecdh_curve("prime256v1")
    hello = build_client_hello("TLSv1.3", random_bytes=Random(seed).randbytes)

    answer = ask(context, hello)

    assert answer.hello is not None
    assert not answer.hello.is_retry
