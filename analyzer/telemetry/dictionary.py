"""Dictionary: the texts and process instances of a run, each with one small number.

In: what batches and recordings name. Out: ids that columns hold instead of values, so that a
question about a value is asked once and not once per event.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.telemetry.event import PROCESS_ROW_KEYS, Process, Row
from rules.telemetry.scope import SCOPES, scope_of
from rules.telemetry.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.telemetry.text_table import TextTable

NULL: Final = 0  # id of "no text" and of "no process"
_SCOPE_CODES: Final = {scope: code for code, scope in enumerate(SCOPES, start=1)}


class Dictionary:
    """Texts and process instances by id; ids only grow and never change their meaning.

    Attributes:
        texts: Text by id; ``texts[0]`` is None.
        processes: Process instance by id; ``processes[0]`` names nothing.
    """

    def __init__(self) -> None:
        """Start with the null of each."""
        self.texts: list[str | None] = [None]
        self.processes: list[Process] = [Process()]
        self._text_ids = Ids(self.texts)
        self._process_ids = Ids(self.processes)
        self._process_ids[Process()] = NULL
        self._process_rows: dict[int, Row] = {}
        self._scopes = np.zeros(1, np.uint8)

    def text_id(self, text: str) -> int:
        """Return the id of a text; a new one is entered."""
        return self._text_ids[text]

    def text_ids(self, texts: Sequence[str]) -> npt.NDArray[np.uint32]:
        """Return the ids of a batch's texts; item ``i`` is the id of its index ``i``, 0 of null."""
        if isinstance(texts, Texts) and self._text_table is not None:
            return self._by_bytes(texts, self._text_table)
        return _numbered(self._text_ids, texts)

    def _by_bytes(self, texts: Texts, table: TextTable) -> npt.NDArray[np.uint32]:
        """Return the ids of texts without an object for each that came before."""
        found = np.zeros(len(texts) + 1, np.uint32)
        ids = found[1:]
        table.find(texts, ids)
        new = np.flatnonzero(ids == NULL)
        if len(new):
            others = texts.take(new)
            ids[new] = _numbered(self._text_ids, others)[1:]
            table.enter(others, ids[new])
        return found

    @cached_property
    def _text_table(self) -> TextTable | None:
        """Texts of messages by their bytes; None where numba is missing."""
        try:
            from analyzer.telemetry.text_table import TextTable
        except ImportError:
            return None
        return TextTable()

    def find_text(self, text: str) -> int | None:
        """Return the id of a text, if it has one."""
        return self._text_ids.get(text)

    def process_id(self, process: Process) -> int:
        """Return the id of a process instance; a new one is entered."""
        return self._process_ids[process]

    def process_ids(self, processes: Sequence[Process]) -> npt.NDArray[np.uint32]:
        """Return the ids of a batch's instances; item ``i`` is the id of its index ``i``."""
        return _numbered(self._process_ids, processes)

    def process_row(self, process_id: int) -> Row:
        """Return the process columns of an instance that are not null; not to be changed."""
        row = self._process_rows.get(process_id)
        if row is None:
            pairs = zip(PROCESS_ROW_KEYS, self.processes[process_id], strict=True)
            row = {key: value for key, value in pairs if value is not None}
            self._process_rows[process_id] = row
        return row

    @property
    def scopes(self) -> npt.NDArray[np.uint8]:
        """Return the code of the scope of each text, by id; 0 where it is no address."""
        known = len(self._scopes)
        if known < len(self.texts):
            more = np.fromiter(map(_scope_code, self.texts[known:]), np.uint8)
            self._scopes = np.concatenate((self._scopes, more))
        return self._scopes


class Ids(dict[Any, int]):
    """Value → id; a value that is asked for and missing is entered, and its id is its place."""

    def __init__(self, values: list[Any]) -> None:
        """Enter what is missing at the end of ``values``."""
        super().__init__()
        self._values = values

    def __missing__(self, value: Any) -> int:  # noqa: ANN401 (a text or a process)
        """Enter a value."""
        found = self[value] = len(self._values)
        self._values.append(value)
        return found


def _numbered(ids: Ids, values: Sequence[Any]) -> npt.NDArray[np.uint32]:
    """Return 0 of null, and then the id of each value."""
    found = np.empty(len(values) + 1, np.uint32)
    found[0] = NULL
    found[1:] = np.fromiter(map(ids.__getitem__, values), np.uint32, len(values))
    return found


def _scope_code(text: str | None) -> int:
    scope = None if text is None else scope_of(text)
    return 0 if scope is None else _SCOPE_CODES[scope]
