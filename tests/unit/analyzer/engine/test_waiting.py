"""Slices that are judged together."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.engine import waiting
from analyzer.engine.packs import packs_of
from analyzer.engine.waiting import Waiting
from analyzer.telemetry.dictionary import Dictionary
from analyzer.telemetry.slices import Columns, Slice

DICTIONARY = Dictionary()


def piece(agent_id: str, from_us: int, rows: int, kind: str = "connection") -> Slice:
    times = np.arange(from_us, from_us + rows, dtype=np.int64)
    table = Columns(kind, times, np.zeros(rows, np.uint32), {}, DICTIONARY)
    return Slice(agent_id, from_us, from_us + rows, {kind: table})


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "ENOUGH", 10)


def test_slices_wait_until_they_have_enough_rows() -> None:
    queue = Waiting()
    pieces = [piece("a", 0, 4), piece("a", 4, 2, "listener"), piece("b", 0, 4)]
    full = []
    for each in pieces:
        queue.add(each, len(each))
        full.append(queue.is_full)
    assert full == [False, False, True]
    assert queue.take() == {"a": pieces[:2], "b": pieces[2:]}
    assert queue.take() == {}


def test_packs_hold_the_rows_of_each_host_together() -> None:
    slices = {
        3: [piece("a", 0, 2), piece("a", 2, 1, "listener"), piece("a", 3, 2)],
        1: [piece("b", 7, 1), piece("b", 8, 0)],
    }
    packs = packs_of(slices, {"connection", "session"})
    assert list(packs) == ["connection"]
    pack = packs["connection"]
    assert pack.columns.ts_us.tolist() == [0, 1, 3, 4, 7]
    assert list(pack.parts()) == [(3, 0, 4), (1, 4, 5)]
    assert pack.host_of_rows().tolist() == [3, 3, 3, 3, 1]
