"""Texts looked up by their bytes have the ids that they have as objects."""

import builtins
from collections.abc import Iterable
from itertools import count
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from analyzer.recording.vocabulary import word_hash
from analyzer.telemetry.dictionary import Dictionary
from analyzer.telemetry.text_table import MAX_PLACES, TextTable
from rules.telemetry.texts import Texts, plain_texts


def texts_of(texts: Iterable[str]) -> Texts:
    found = plain_texts(memoryview(msgspec.msgpack.encode(list(texts))), max_count=10**6)
    assert found is not None
    return found


def found_in(table: TextTable, texts: Texts) -> list[int]:
    ids = np.zeros(len(texts), np.uint32)
    table.find(texts, ids)
    return ids.tolist()


def test_what_was_entered_is_found_and_nothing_else() -> None:
    table = TextTable()
    known = texts_of(["", "a", "b" * 7, "c" * 8, "d" * 9, "e" * 300])
    assert found_in(table, known) == [0] * 6
    table.enter(known, np.arange(1, 7, dtype=np.uint32))
    assert found_in(table, known) == [1, 2, 3, 4, 5, 6]
    others = texts_of(["b", "b" * 8, "c" * 7, "c" * 9, "\0", "e" * 299 + "f", "f" + "e" * 299])
    assert found_in(table, others) == [0] * 7
    table.enter(known, np.full(6, 9, np.uint32))
    assert found_in(table, known) == [1, 2, 3, 4, 5, 6], "the first id stays"


def test_a_table_grows_and_keeps_what_it_has() -> None:
    table = TextTable()
    names = [f"name-{number}" for number in range(30_000)]
    numbers = np.arange(1, 30_001, dtype=np.uint32)
    for start in range(0, 30_000, 5_000):
        part = slice(start, start + 5_000)
        table.enter(texts_of(names[part]), numbers[part])
    assert found_in(table, texts_of(names)) == numbers.tolist()


def test_texts_that_collide_have_their_ids_all_the_same() -> None:
    """Whoever knows the hash can make as many as he likes: they find no place in the table."""
    size, names = 1 << 10, list[str]()
    for number in count():
        if word_hash(str(number).encode()) % size == 0:
            names.append(str(number))
        if len(names) == 3 * MAX_PLACES:
            break
    table = TextTable(room=size // 2)
    table.enter(texts_of(names), np.arange(1, len(names) + 1, dtype=np.uint32))
    found = found_in(table, texts_of(names))
    assert found[:MAX_PLACES] == list(range(1, MAX_PLACES + 1))
    assert set(found[MAX_PLACES:]) == {0}


def test_a_dictionary_gives_the_same_ids_for_both_forms() -> None:
    dictionary = Dictionary()
    assert dictionary.text_ids(["b", "a"]).tolist() == [0, 1, 2]
    assert dictionary.text_ids(texts_of(["a", "c", "c", "b"])).tolist() == [0, 2, 3, 3, 1]
    assert dictionary.text_ids(texts_of(["a", "c", "d", "c", "b"])).tolist() == [0, 2, 3, 4, 3, 1]
    assert dictionary.texts == [None, "b", "a", "c", "d"]
    assert dictionary.find_text("d") == 4


def test_without_numba_texts_are_looked_up_as_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> ModuleType:  # noqa: ANN401
        if name == "analyzer.telemetry.text_table":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    dictionary = Dictionary()
    assert dictionary.text_ids(texts_of(["b", "a", "b"])).tolist() == [0, 1, 2, 1]
    assert dictionary.text_ids(texts_of(["a", "c"])).tolist() == [0, 2, 3]
