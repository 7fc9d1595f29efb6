import gzip
import struct
from pathlib import Path

import pytest

from agent.decode.capture_file import CaptureFile
from agent.decode.packet import Link
from agent.decode.pcap import Frame
from agent.errors import CaptureFileError
from tests.packets import block, enhanced, interface, option, pcap, pcapng, section

pytestmark = pytest.mark.allow_blocking

PACKETS = [(1_700_000_000_123_456, b"first"), (1_700_000_001_000_001, b"second.."), (0, b"")]
FRAMES = [Frame(ts_us, Link.RAW, data) for ts_us, data in PACKETS]


def read(path: Path, content: bytes) -> list[Frame]:
    path = path / "x.pcap"
    path.write_bytes(content)
    with CaptureFile(path) as file:
        return list(file.frames())


def read_until_error(path: Path, content: bytes) -> tuple[list[Frame], CaptureFileError]:
    path = path / "x.pcap"
    path.write_bytes(content)
    frames: list[Frame] = []
    with CaptureFile(path) as file, pytest.raises(CaptureFileError) as caught:
        frames.extend(file.frames())
    return frames, caught.value


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap_is_read_in_either_order_and_unit(
    tmp_path: Path, order: str, *, nanoseconds: bool
) -> None:
    assert read(tmp_path, pcap(PACKETS, order=order, nanoseconds=nanoseconds)) == FRAMES


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_is_read_in_either_order(tmp_path: Path, order: str) -> None:
    assert read(tmp_path, pcapng(PACKETS, order=order)) == FRAMES


@pytest.mark.parametrize("content", [pcap(PACKETS), pcapng(PACKETS)], ids=["pcap", "pcapng"])
def test_gzip_is_read_as_what_it_holds(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, gzip.compress(content)) == FRAMES


@pytest.mark.parametrize(
    ("number", "link"),
    [
        (0, Link.NULL),
        (1, Link.ETHERNET),
        (101, Link.RAW),
        (108, Link.NULL),
        (113, Link.COOKED),
        (228, Link.RAW),
        (229, Link.RAW),
        (276, Link.COOKED2),
        (0xF000_0001, Link.ETHERNET),
        (147, None),
    ],
)
def test_link_types_are_named(tmp_path: Path, number: int, link: Link | None) -> None:
    assert read(tmp_path, pcap(PACKETS[:1], link=number))[0].link is link


def test_each_interface_has_its_own_network_and_clock(tmp_path: Path) -> None:
    nanoseconds = option(9, b"\x09")
    halves = option(9, b"\x81") + option(14, struct.pack("<q", 100))
    content = section() + interface(1, nanoseconds) + interface(113, halves)
    content += enhanced(5_000, b"a", number=0) + enhanced(3, b"b", number=1)

    assert read(tmp_path, content) == [
        Frame(5, Link.ETHERNET, b"a"),
        Frame(101_500_000, Link.COOKED, b"b"),
    ]


def test_section_begins_anew(tmp_path: Path) -> None:
    content = pcapng(PACKETS[:1]) + pcapng(PACKETS[1:2], order=">", link=1)

    assert [frame.link for frame in read(tmp_path, content)] == [Link.RAW, Link.ETHERNET]


def test_packets_of_old_tools_and_without_time_are_read(tmp_path: Path) -> None:
    old = block(2, struct.pack("<HHIIII", 0, 0, 0, 77, 3, 3) + b"old")
    simple = block(3, struct.pack("<I", 2) + b"si")

    assert read(tmp_path, section() + interface() + old + simple) == [
        Frame(77, Link.RAW, b"old"),
        Frame(77, Link.RAW, b"si"),
    ]


def test_other_blocks_are_passed_over_and_drops_counted(tmp_path: Path) -> None:
    drops = (
        option(5, struct.pack("<Q", 7)) + option(7, struct.pack("<Q", 2)) + option(4, b"12345678")
    )
    statistics = block(5, struct.pack("<III", 0, 0, 0) + drops)
    path = tmp_path / "x.pcapng"
    path.write_bytes(pcapng(PACKETS[:1]) + block(4, b"names") + statistics)

    with CaptureFile(path) as file:
        assert file.dropped == 0
        assert list(file.frames()) == FRAMES[:1]
        assert file.dropped == 9
        assert file.read_bytes == file.size_bytes == path.stat().st_size


def test_drops_that_are_stated_again_count_once(tmp_path: Path) -> None:
    statistics = [
        block(5, struct.pack("<III", 0, 0, 0) + option(5, struct.pack("<Q", total)))
        for total in (3, 7)
    ]
    section = pcapng(PACKETS[:1]) + b"".join(statistics)
    path = tmp_path / "x.pcapng"
    path.write_bytes(section * 2)

    with CaptureFile(path) as file:
        assert len(list(file.frames())) == 2
        assert file.dropped == 14


@pytest.mark.parametrize(
    ("content", "cut", "offset"),
    [
        (pcap(PACKETS[:2]), 1, 24 + 16 + 5),
        (pcap(PACKETS[:2]), 10, 24 + 16 + 5),
        (pcapng(PACKETS[:2]), 1, 28 + 20 + 40),
        (pcapng(PACKETS[:2]), 37, 28 + 20 + 40),
    ],
    ids=["pcap data", "pcap header", "pcapng data", "pcapng header"],
)
def test_cut_file_ends_with_the_place_and_keeps_what_was_before(
    tmp_path: Path, content: bytes, cut: int, offset: int
) -> None:
    frames, error = read_until_error(tmp_path, content[:-cut])

    assert frames == FRAMES[:1]
    assert error.offset == offset
    assert f"byte {offset}" in str(error)


def test_cut_gzip_keeps_what_was_before(tmp_path: Path) -> None:
    frames, error = read_until_error(tmp_path, gzip.compress(pcap(PACKETS * 100))[:-12])

    assert frames[:2] == FRAMES[:2]
    assert "compression" in error.why or "ends" in error.why


HEAD = section() + interface()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "neither"),
        (b"GIF89a", "neither"),
        (pcap([])[:20], "header"),
        (pcap([]) + struct.pack("<IIII", 0, 0, 1 << 30, 0), "cannot be"),
        (section()[:10], "byte order"),
        (section()[:8] + bytes(20), "byte order"),
        (HEAD + struct.pack("<II", 6, 8), "cannot be"),
        (HEAD + struct.pack("<II", 6, 1 << 30), "cannot be"),
        (HEAD + struct.pack("<III", 6, 12, 16), "two lengths"),
        (HEAD + b"\6", "header of a block"),
        (HEAD + block(6, bytes(8)), "cut"),
        (HEAD + block(2, bytes(8)), "cut"),
        (section() + block(3, bytes(8)), "cut"),
        (section() + block(1, bytes(4)), "description"),
        (section() + enhanced(1, b"x"), "not described"),
        (HEAD + block(6, struct.pack("<IIIII", 0, 0, 0, 9, 9) + b"x"), "longer"),
        (section() + interface(1, option(9, b"\x7f")), "clock"),
        (section() + interface(1, option(9, b"\xff")), "clock"),
    ],
)
def test_what_is_no_capture_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    frames, error = read_until_error(tmp_path, content)

    assert frames == []
    assert why in error.why


def test_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        CaptureFile(tmp_path / "none.pcap")
