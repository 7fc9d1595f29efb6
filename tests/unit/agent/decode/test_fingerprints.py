"""JA3 and JA4 of hellos whose fingerprints are published."""

import pytest

from agent.decode.client_offer import ClientProfile, read_client_offer
from agent.decode.ja3 import ja3, ja3_text
from agent.decode.ja4 import ja4
from tests.client_hellos import CHROME, CHROME_JA4, alpn, client_hello, versions


def offer(
    version: int,
    ciphers: tuple[int, ...],
    extensions: tuple[int, ...] = (),
    groups: tuple[int, ...] = (),
    formats: tuple[int, ...] = (),
) -> ClientProfile:
    return ClientProfile(version, ciphers, extensions, (), groups, formats, (), None)


# Source: the examples in the specification of JA3.
WITH_EXTENSIONS = offer(
    769, (47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4), (0, 10, 11), (23, 24, 25), (0,)
)
WITHOUT = offer(769, (4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99))


@pytest.mark.parametrize(
    ("client", "text", "digest"),
    [
        (
            WITH_EXTENSIONS,
            "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0",
            "ada70206e40642a3e4461f35503241d5",
        ),
        (WITHOUT, "769,4-5-10-9-100-98-3-6-19-18-99,,,", "de350869b8c85de67a350c8d186f11e6"),
    ],
)
def test_ja3_is_that_of_the_specification(client: ClientProfile, text: str, digest: str) -> None:
    assert ja3_text(client) == text
    assert ja3(client) == digest


def test_ja3_leaves_out_numbers_that_only_test_servers() -> None:
    text = ja3_text(read_client_offer(CHROME).profile).split(",")

    assert text[1].startswith("4865-")
    assert text[2].startswith("27-0-51-16-17513-")
    assert text[3] == "29-23-24"


def test_ja4_is_that_of_the_specification() -> None:
    assert ja4(read_client_offer(CHROME).profile) == CHROME_JA4


def test_ja4_does_not_depend_on_order() -> None:
    read = read_client_offer(CHROME).profile
    turned = read._replace(ciphers=read.ciphers[::-1], extensions=read.extensions[::-1])

    assert ja4(turned) == CHROME_JA4
    assert ja3(turned) != ja3(read)


def test_ja4_of_a_hello_without_extensions() -> None:
    assert ja4(read_client_offer(client_hello(0x0301, extensions=None)).profile).startswith(
        "t10i020000_"
    )
    assert ja4(offer(0x0300, ())) == "ts3i000000_000000000000_000000000000"


@pytest.mark.parametrize(
    ("code", "name"),
    [(0x0304, "13"), (0x0303, "12"), (0x0302, "11"), (0x0301, "10"), (2, "s2"), (0x7F1C, "00")],
)
def test_ja4_names_the_highest_version(code: int, name: str) -> None:
    hello = client_hello(0x0301, extensions=(versions(0x0A0A, code),))

    assert ja4(read_client_offer(hello).profile)[1:3] == name


@pytest.mark.parametrize(
    ("protocol", "shown"),
    [
        (b"h2", "h2"),
        (b"http/1.1", "h1"),
        (b"x", "xx"),
        (b"\xab", "ab"),
        (b"\xab\xcd", "ad"),
        (b"\x30\xab", "3b"),
        (b"\x30\x31\xab\xcd", "3d"),
        (b"", "00"),
    ],
)
def test_ja4_shows_first_and_last_character_of_the_alpn(protocol: bytes, shown: str) -> None:
    """Hexadecimal digits where they are no text; the specification's own examples."""
    hello = client_hello(extensions=(alpn(protocol),))

    assert ja4(read_client_offer(hello).profile)[8:10] == shown


def test_ja4_counts_to_99() -> None:
    assert ja4(offer(0x0303, tuple(range(0x1000, 0x1100)), tuple(range(100, 300))))[4:8] == "9999"
