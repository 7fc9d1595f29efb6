import pytest

from agent.decode.client_offer import ClientOffer, ClientProfile, is_grease, read_client_offer
from agent.errors import DecodeError
from tests.client_hellos import CHROME, alpn, client_hello, numbers, server_name, versions
from tests.tls_messages import extension, vector


def test_everything_that_is_offered_is_read_in_order() -> None:
    hello = client_hello(
        0x0303,
        ciphers=(0x0A0A, 0x1301, 0xC02F),
        session_id=bytes(32),
        extensions=(
            versions(0x0304, 0x0303),
            extension(10, vector(numbers((29, 23)), 2)),
            extension(11, vector(b"\0\1", 1)),
            extension(13, vector(numbers((0x0403, 0x0804)), 2)),
            server_name(b"www.example.test"),
            alpn(b"h2", b"http/1.1"),
        ),
    )

    profile = ClientProfile(
        version_code=0x0303,
        ciphers=(0x0A0A, 0x1301, 0xC02F),
        extensions=(43, 10, 11, 13, 0, 16),
        versions=(0x0304, 0x0303),
        groups=(29, 23),
        point_formats=(0, 1),
        signature_algorithms=(0x0403, 0x0804),
        alpn=b"h2",
    )
    assert read_client_offer(hello) == ClientOffer(profile, "www.example.test")


@pytest.mark.parametrize("extensions", [None, ()])
def test_hello_without_extensions_offers_none(extensions: tuple[bytes, ...] | None) -> None:
    profile, server_name = read_client_offer(client_hello(extensions=extensions))

    assert (profile.extensions, profile.versions, profile.alpn, server_name) == ((), (), None, None)


def test_server_name_has_no_case_and_no_final_dot() -> None:
    assert read_client_offer(CHROME).server_name == "app.example.com"


@pytest.mark.parametrize(
    "name", [b"", b"a b.test", b"\x1b[2J.test", b"\xff.test", b"x" * 256, b"."]
)
def test_server_name_that_is_no_host_name_is_none(name: bytes) -> None:
    assert read_client_offer(client_hello(extensions=(server_name(name),))).server_name is None


def test_of_names_only_a_host_name_counts() -> None:
    other = extension(0, vector(b"\1" + vector(b"other", 2), 2))

    assert read_client_offer(client_hello(extensions=(other,))).server_name is None


def test_empty_extensions_are_no_error() -> None:
    hello = client_hello(extensions=tuple(extension(kind, b"") for kind in (0, 10, 11, 13, 16, 43)))

    profile = read_client_offer(hello).profile

    assert (profile.groups, profile.point_formats, profile.alpn) == ((), (), None)


def test_of_equal_extensions_the_first_counts() -> None:
    hello = client_hello(extensions=(server_name(b"first.test"), server_name(b"second.test")))

    offer = read_client_offer(hello)

    assert offer.server_name == "first.test"
    assert offer.profile.extensions == (0, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        client_hello()[:40],
        client_hello() + b"\0",
        client_hello(extensions=(b"\0\0\0",)),
        client_hello(extensions=(b"\0\0\0\x09\0",)),
        client_hello(extensions=(extension(10, vector(b"\0\x1d\0", 2)),)),
        client_hello(extensions=(extension(10, b"\0\x09\0\x1d"),)),
    ],
    ids=["empty", "cut", "longer", "no extension", "long extension", "odd", "long list"],
)
def test_what_does_not_fit_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        read_client_offer(body)


def test_numbers_that_only_test_servers_are_known() -> None:
    real = {0x0000, 0x0A0B, 0x1301, 0x0A1A, 0xAA0A, 0xFFFF, 0x0A0A + 1}

    assert all(is_grease(number << 12 | 0x0A00 | number << 4 | 0x0A) for number in range(16))
    assert not any(map(is_grease, real))
