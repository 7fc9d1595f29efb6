"""eBPF from Python: a small assembler, and the system call that loads what it makes.

In: instructions with labels. Out: a program that the kernel has verified, as a file descriptor.
No compiler and no library is needed on the host.
Source: bpf(2), Linux include/uapi/linux/bpf.h, Documentation/bpf/standardization/instruction-set.
"""

from __future__ import annotations

import ctypes
import os
import platform
from struct import Struct
from typing import Final

from agent.sensors.system_calls import find_system_calls

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, FRAME = range(11)

BYTE, HALF, WORD, DOUBLE = 0x10, 0x08, 0x00, 0x18
EQUAL, GREATER, AT_LEAST, ANY_BIT, NOT_EQUAL, BELOW, AT_MOST_SIGNED = (
    *(0x10, 0x20, 0x30, 0x40, 0x50, 0xA0, 0xD0),
)
ADD, SUBTRACT, AND, SHIFT_LEFT, SHIFT_RIGHT, MOVE = 0x00, 0x10, 0x50, 0x60, 0x70, 0xB0

MAP_LOOKUP: Final = 1
MAP_UPDATE: Final = 2
LOAD_BYTES: Final = 26  # bpf_skb_load_bytes

_INSTRUCTION: Final = Struct("=BBhi")
_FROM_REGISTER: Final = 0x08
_CLASS_LOAD, _CLASS_LOAD_X, _CLASS_STORE, _CLASS_STORE_X = 0, 1, 2, 3
_CLASS_ALU32, _CLASS_JUMP, _CLASS_ALU64 = 4, 5, 7
_MODE_ABSOLUTE, _MODE_INDIRECT, _MODE_MEMORY = 0x20, 0x40, 0x60
_CALL, _EXIT, _ALWAYS = 0x80, 0x90, 0x00
_MAP_DESCRIPTOR: Final = 1
_IMMEDIATE_MASK: Final = 0xFFFF_FFFF
_SIGN: Final = 0x8000_0000

_MAP_CREATE, _PROGRAM_LOAD = 0, 5
_SOCKET_FILTER: Final = 1
_LRU_HASH: Final = 9
_MAP_ATTRIBUTES: Final = Struct("=IIIII")
_PROGRAM_ATTRIBUTES: Final = Struct("=IIQQIIQII16s")
_LICENSE: Final = b"Apache-2.0\0"
_LOG_BYTES: Final = 65_536


class Assembler:
    """Puts a program together, one instruction a call; a jump names the label it leads to."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int]] = []
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []

    def label(self, name: str) -> None:
        """Name the place of the next instruction."""
        self._labels[name] = len(self._code)

    def set(self, target: int, value: int) -> None:
        """Set a register to a number of 32 bits, without its sign."""
        self._add(_CLASS_ALU32 | MOVE, target, value=value)

    def copy(self, target: int, source: int) -> None:
        """Set a register to another one."""
        self._add(_CLASS_ALU64 | MOVE | _FROM_REGISTER, target, source)

    def compute(self, operation: int, target: int, value: int) -> None:
        """Apply an operation and a number to a register."""
        self._add(_CLASS_ALU64 | operation, target, value=value)

    def compute_from(self, operation: int, target: int, source: int, *, bits: int = 64) -> None:
        """Apply an operation and another register to a register, in 64 or 32 bits."""
        kind = _CLASS_ALU64 if bits == 64 else _CLASS_ALU32  # noqa: PLR2004 (bits)
        self._add(kind | operation | _FROM_REGISTER, target, source)

    def load(self, size: int, target: int, base: int, offset: int) -> None:
        """Load from memory that a register points to."""
        self._add(_CLASS_LOAD_X | _MODE_MEMORY | size, target, base, offset)

    def store(self, size: int, base: int, offset: int, source: int) -> None:
        """Store a register."""
        self._add(_CLASS_STORE_X | _MODE_MEMORY | size, base, source, offset)

    def store_number(self, size: int, base: int, offset: int, value: int) -> None:
        """Store a number."""
        self._add(_CLASS_STORE | _MODE_MEMORY | size, base, offset=offset, value=value)

    def load_packet(self, size: int, offset: int, *, behind: int | None = None) -> None:
        """Load from the packet into R0, in the host's order; R1 to R5 are lost.

        Args:
            size: ``BYTE``, ``HALF`` or ``WORD``.
            offset: Place in the packet.
            behind: A register to be added to it.
        """
        mode = _MODE_ABSOLUTE if behind is None else _MODE_INDIRECT
        self._add(_CLASS_LOAD | mode | size, source=behind or 0, value=offset)

    def load_map(self, target: int, fileno: int) -> None:
        """Set a register to a map."""
        self._add(_CLASS_LOAD | DOUBLE, target, _MAP_DESCRIPTOR, value=fileno)
        self._add(0)

    def call(self, helper: int) -> None:
        """Call one of the kernel's helpers with R1 to R5; R0 is its answer."""
        self._add(_CLASS_JUMP | _CALL, value=helper)

    def jump(self, to: str) -> None:
        """Go on at a label."""
        self._jumps.append((len(self._code), to))
        self._add(_CLASS_JUMP | _ALWAYS)

    def jump_if(self, condition: int, register: int, value: int, to: str) -> None:
        """Go on at a label if a register compares so with a number."""
        self._jumps.append((len(self._code), to))
        self._add(_CLASS_JUMP | condition, register, value=value)

    def jump_if_equal(self, register: int, other: int, to: str) -> None:
        """Go on at a label if two registers are equal."""
        self._jumps.append((len(self._code), to))
        self._add(_CLASS_JUMP | EQUAL | _FROM_REGISTER, register, other)

    def exit(self) -> None:
        """End the program; R0 is its answer."""
        self._add(_CLASS_JUMP | _EXIT)

    def assemble(self) -> bytes:
        """Return the program.

        Raises:
            KeyError: A jump leads to no label.
        """
        code = list(self._code)
        for place, name in self._jumps:
            kind, registers, _, value = code[place]
            code[place] = (kind, registers, self._labels[name] - place - 1, value)
        return b"".join(_INSTRUCTION.pack(*instruction) for instruction in code)

    def _add(
        self, kind: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0
    ) -> None:
        signed = (value & _IMMEDIATE_MASK ^ _SIGN) - _SIGN
        self._code.append((kind, source << 4 | target, offset, signed))


def create_flow_map(key_bytes: int, value_bytes: int, *, entries: int) -> int:
    """Create a map that forgets what was used longest ago; return its descriptor.

    Raises:
        OSError: The kernel refuses.
    """
    return _bpf(_MAP_CREATE, _MAP_ATTRIBUTES.pack(_LRU_HASH, key_bytes, value_bytes, entries, 0))


def load_socket_filter(program: bytes) -> int:
    """Load a program that says how many bytes of each packet to keep; return its descriptor.

    Raises:
        OSError: The kernel refuses.
    """
    code = ctypes.create_string_buffer(program, len(program))
    license_text = ctypes.create_string_buffer(_LICENSE)
    return _bpf(
        _PROGRAM_LOAD,
        _PROGRAM_ATTRIBUTES.pack(
            _SOCKET_FILTER,
            len(program) // _INSTRUCTION.size,
            ctypes.addressof(code),
            ctypes.addressof(license_text),
            *(0, 0, 0, 0, 0),
            b"proctor_flows",
        ),
    )


def _bpf(command: int, attributes: bytes) -> int:
    calls = find_system_calls()
    if calls is None:
        raise OSError(38, f"system calls of {platform.machine()} are not known")
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    fileno = libc.syscall(
        ctypes.c_long(calls.bpf), ctypes.c_int(command), buffer, ctypes.c_uint(len(attributes))
    )
    if fileno < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(fileno)
