import numpy as np
import pytest

from analyzer.engine.held import Held
from analyzer.engine.operations import operations
from analyzer.engine.plan import compile_rules
from analyzer.engine.selection import Selection
from analyzer.telemetry.columns import row_columns
from analyzer.telemetry.dictionary import Dictionary
from tests.judging import row, rule


def held_of(count: int) -> Held:
    """Return the rows of one host, the first of which has number 5."""
    dictionary = Dictionary()
    columns = row_columns([row(at) for at in range(count)], dictionary)
    (kind,) = columns
    classifier = compile_rules([rule()], dictionary, operations(use_numba=False)).kinds[kind]
    classifier.classifier.prepare(columns[kind])
    selection = Selection(columns[kind], classifier.classifier)
    serials = np.arange(5, 5 + count)
    return Held(0, selection, serials, np.array([0]), np.array([0, count]))


def test_compressed_rows_take_no_memory_until_they_are_read() -> None:
    held = held_of(20)
    before, masks = held.selection.columns, held.selection.masks.tolist()
    assert held.warm_bytes > 0
    held.cool()
    assert held.warm_bytes == 0
    assert (held.first, held.last) == (5, 24)
    after = held.selection
    assert list(after.columns.rows("i-1")) == list(before.rows("i-1"))
    assert after.masks.tolist() == masks
    assert held.serials.tolist() == list(range(5, 25))
    assert held.warm_bytes > 0


def test_compressed_rows_shrink_and_stay_compressed() -> None:
    held = held_of(20)
    held.cool()
    held.starts[0] = 15
    assert held.shrink()
    assert held.warm_bytes == 0
    assert held.serials.tolist() == [20, 21, 22, 23, 24]
    assert (held.starts.tolist(), held.stops.tolist()) == ([0], [5])


def test_state_is_the_same_whether_rows_are_compressed() -> None:
    warm, cold = held_of(20), held_of(20)
    cold.cool()
    assert warm.state()["rows"] == cold.state()["rows"]


def test_state_with_damaged_rows_is_refused() -> None:
    held = held_of(20)
    method, size_bytes, data = held.state()["rows"]
    damaged = {**held.state(), "rows": (method, size_bytes, data[:-1])}
    classifier, dictionary = held.selection.classifier, held.selection.columns.dictionary
    with pytest.raises(ValueError, match="compression"):
        Held.of(damaged, dictionary, classifier)
