"""Snapshots: the state of an engine as bytes, without code.

In: plain values, numpy arrays and columns. Out: MessagePack in which arrays are their bytes, and
the values again. Whoever restores one feeds on from where it was taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from analyzer.telemetry.slices import Columns
from rules.telemetry.batch import Vector

if TYPE_CHECKING:
    from analyzer.telemetry.dictionary import Dictionary

State = dict[str, Any]
"""What one object holds, as ``packed`` takes it."""

Decided = dict[int, tuple[tuple[int, int], int]]
"""Group → the window that decided, from and to, and what was measured."""

FORMAT: Final = 5
_ARRAY: Final = 1  # MessagePack extension
_DTYPES: Final = ("|b1", "|u1", "<u2", "<u4", "<u8", "<i4", "<i8")


def packed(state: State) -> bytes:
    """Return a state as bytes."""
    return msgspec.msgpack.encode(state, enc_hook=_array_packed)


def unpacked(data: bytes) -> Any:  # noqa: ANN401 (what was packed)
    """Return the state that was packed.

    Raises:
        msgspec.DecodeError: The bytes are no MessagePack.
        ValueError: An array in it makes no sense.
    """
    return msgspec.msgpack.Decoder(ext_hook=_array).decode(data)


def columns_state(columns: Columns) -> State:
    """Return rows as a state."""
    return {
        "kind": columns.kind,
        "ts_us": columns.ts_us,
        "process": columns.process,
        "columns": {name: list(vector) for name, vector in columns.columns.items()},
    }


def columns_of(state: State, dictionary: Dictionary) -> Columns:
    """Return the rows of a state, whose ids are of ``dictionary``."""
    columns = {name: Vector(*vector) for name, vector in state["columns"].items()}
    return Columns(state["kind"], state["ts_us"], state["process"], columns, dictionary)


def decided_state(decided: Decided) -> list[list[str]]:
    """Return what decided groups as a state; the numbers may be of any size."""
    return [
        [str(number) for number in (group, *window, measured)]
        for group, (window, measured) in decided.items()
    ]


def decided_of(state: list[list[str]]) -> Decided:
    """Return what decided groups, of a state."""
    rows = [list(map(int, row)) for row in state]
    return {group: ((from_us, to_us), measured) for group, from_us, to_us, measured in rows}


def _array_packed(array: object) -> msgspec.msgpack.Ext:
    if not isinstance(array, np.ndarray):
        raise NotImplementedError(type(array))
    shape = msgspec.msgpack.encode((array.dtype.str, array.shape))
    return msgspec.msgpack.Ext(_ARRAY, bytes([len(shape)]) + shape + array.tobytes())


def _array(code: int, data: memoryview) -> Any:  # noqa: ANN401 (an array of any kind)
    if code != _ARRAY or not len(data) or len(data) <= data[0]:
        message = "a snapshot holds an array that makes no sense"
        raise ValueError(message)
    start = 1 + data[0]
    dtype, shape = msgspec.msgpack.decode(data[1:start], type=tuple[str, tuple[int, ...]])
    if dtype not in _DTYPES:
        message = f"a snapshot holds an array of {dtype!r}"
        raise ValueError(message)
    if not len(data) - start:
        return np.zeros(shape, dtype)
    return np.frombuffer(data[start:], dtype).reshape(shape).copy()
