"""The programs that choose packets in the kernel are well formed; it shows what they choose."""

import struct

import pytest

from agent.sensors.classic_filter import build_classic_filter
from agent.sensors.ebpf import EQUAL, R0, R1, Assembler
from agent.sensors.flow_filter import build_flow_filter

_JUMP_CLASS = 5
_EXIT = 0x95
_CALL = 0x85


def test_instructions_are_those_of_the_kernel() -> None:
    """Against what the kernel's own disassembler calls them."""
    code = Assembler()
    code.copy(6, R1)  # r6 = r1
    code.set(R0, 0xFFFF_FFFF)  # w0 = -1
    code.jump_if(EQUAL, R0, 6, "end")  # if r0 == 6 goto end
    code.load_map(R1, 3)  # r1 = map 3
    code.label("end")
    code.exit()

    assert code.assemble().hex(" ", 8) == (
        "bf16000000000000 b4000000ffffffff 1500020006000000 "
        "1811000003000000 0000000000000000 9500000000000000"
    )


def test_jump_to_nowhere_is_an_error() -> None:
    code = Assembler()
    code.jump("nowhere")

    with pytest.raises(KeyError):
        code.assemble()


def test_flow_filter_only_jumps_ahead_and_ends() -> None:
    program = build_flow_filter(3)
    code = list(struct.iter_unpack("=BBhi", program))

    assert code[-1][0] == _EXIT
    for place, (kind, _, offset, _) in enumerate(code):
        if kind & 7 == _JUMP_CLASS and kind not in {_EXIT, _CALL}:
            assert 0 <= offset < len(code) - place - 1


def test_classic_filter_only_jumps_ahead_and_ends() -> None:
    code = list(struct.iter_unpack("=HBBI", build_classic_filter()))

    assert code[-1][0] == 0x06
    for place, (kind, if_true, if_false, number) in enumerate(code):
        ahead = number if kind == 0x05 else max(if_true, if_false)
        if kind & 7 == _JUMP_CLASS:
            assert ahead < len(code) - place - 1
