import pytest

from agent.decode.trace_format import Field, make_layout, read_format
from agent.errors import DecodeError
from tests.perf_messages import AARCH64, FIXTURES, X86_64, tracepoints

TEXT = """name: made_up
ID: 77
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int b;\toffset:12;\tsize:4;\tsigned:1;
\tfield:__u8 a[3];\toffset:4;\tsize:3;\tsigned:0;
\tfield:__data_loc char[] name;\toffset:8;\tsize:4;\tsigned:1;

print fmt: "%d", REC->b
"""


def test_fields_and_id_come_from_the_text() -> None:
    made_up = read_format(TEXT)

    assert made_up.id == 77
    assert made_up.fields == {
        "common_type": Field(0, 2, "H"),
        "b": Field(12, 4, "i"),
        "a": Field(4, 3, "3s"),
        "name": Field(8, 4, "i"),
    }


@pytest.mark.parametrize(("machine", "place"), [(X86_64, 40), (AARCH64, 37)])
def test_every_kernel_has_its_own_offsets(machine: str, place: int) -> None:
    assert tracepoints(machine).sockets.fields["saddr_v6"] == Field(place, 16, "16s")


def test_fields_are_read_in_the_order_that_was_asked_for() -> None:
    layout = make_layout(read_format(TEXT), ("b", "common_type", "a"), head="H")
    record = b"\x05\0" + b"\x4d\0\0\0abc\0\0\0\0\0\xff\xff\xff\xff"

    assert layout.read(record) == (5, -1, 77, b"abc")


def test_record_of_a_known_size_is_read_as_a_whole() -> None:
    layout = make_layout(read_format(TEXT), ("common_type", "b"), head="", size=24)

    assert layout.fields.size == 24
    assert layout.permute is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no ID line"),
        (TEXT.replace("offset:12", "offset:9000"), "int b"),
        (TEXT.replace("int b;", "int [];"), "int \\[\\]"),
    ],
)
def test_what_is_no_format_is_refused(text: str, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        read_format(text)


@pytest.mark.parametrize(
    ("text", "names", "size", "why"),
    [
        (TEXT, ("gone",), None, "no field"),
        (TEXT.replace("offset:12", "offset:5"), ("a", "b"), None, "overlaps"),
        (TEXT, ("b",), 8, "longer than the record"),
    ],
)
def test_what_cannot_be_read_is_refused(
    text: str, names: tuple[str, ...], size: int | None, why: str
) -> None:
    with pytest.raises(DecodeError, match=why):
        make_layout(read_format(text), names, head="", size=size)


def test_recorded_format_has_every_field_of_its_file() -> None:
    path = FIXTURES / X86_64 / "events/sock/inet_sock_set_state/format"
    text = path.read_text()

    assert len(read_format(text).fields) == text.count("field:")
