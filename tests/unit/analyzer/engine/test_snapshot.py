from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from analyzer.engine import FusedEngine
from analyzer.engine.snapshot import packed, unpacked
from analyzer.errors import SnapshotError
from analyzer.telemetry.columns import row_columns
from analyzer.telemetry.dictionary import Dictionary
from analyzer.telemetry.slices import Slice
from rules.telemetry.ledger import Ledger
from tests.judging import row, rule


def test_arrays_of_every_shape_come_back() -> None:
    arrays: list[npt.NDArray[Any]] = [
        np.arange(6, dtype=np.int64).reshape(3, 2),
        np.zeros((1, 0), np.int64),
        np.zeros(0, np.uint8),
        np.array([True, False]),
    ]
    for array, back in zip(arrays, unpacked(packed({"arrays": arrays}))["arrays"], strict=True):
        assert back.dtype == array.dtype
        assert back.shape == array.shape
        assert back.tobytes() == array.tobytes()


def test_engine_without_telemetry_comes_back_without() -> None:
    engine = FusedEngine([rule()])
    engine.restore(FusedEngine([rule()]).snapshot())
    assert engine.outcomes(Ledger(0, 1), ["i-1"])[0].groups == ()


def test_snapshot_of_other_rules_is_refused() -> None:
    data = FusedEngine([rule("a")]).snapshot()
    with pytest.raises(SnapshotError, match="other rules"):
        FusedEngine([rule("b")]).restore(data)


def test_damaged_snapshot_is_refused() -> None:
    engine = FusedEngine([rule()], use_numba=False)
    engine.feed(Slice("i-1", 0, 10, row_columns([row(1)], Dictionary())))
    data = engine.snapshot()
    for size in range(0, len(data), 7):
        with pytest.raises(SnapshotError):
            FusedEngine([rule()], use_numba=False).restore(data[:size])


def test_snapshot_with_an_array_of_objects_is_refused() -> None:
    data = packed({"array": np.zeros(1, np.float64)})
    with pytest.raises(ValueError, match="f8"):
        unpacked(data)
