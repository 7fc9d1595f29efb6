"""Operations: the loops over rows that cost time, in one of two makes with equal results.

In: whether numba may be used. Out: functions of ``kernels`` and ``window_kernels``, or their twins.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from analyzer.engine.arrays import Int64s


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """The functions that either make has; the twins state their types."""

    find_keys: Callable[..., int]
    enter_keys: Callable[..., tuple[int, int]]
    and_codes: Callable[..., int]
    and_ids: Callable[..., int]
    and_ports: Callable[..., int]
    and_numbers: Callable[..., int]
    any_of: Callable[..., Any]
    rows_with: Callable[..., int]
    find_groups: Callable[..., int]
    tally: Callable[..., int]
    mark_ports: Callable[..., int]
    peaks_of_panes: Callable[..., int]
    flag_in_panes: Callable[..., tuple[int, int, int]]
    cross: Callable[..., int]
    rooms: list[Int64s] = field(default_factory=list)

    def room(self, number: int, size: int) -> Int64s:
        """Return room for results that are copied before the next call; fresh memory costs more.

        Args:
            number: Which one, where several are wanted at a time.
            size: How many numbers must fit.
        """
        while len(self.rooms) <= number:
            self.rooms.append(np.empty(0, np.int64))
        if len(self.rooms[number]) < size:
            self.rooms[number] = np.empty(2 * size, np.int64)
        return self.rooms[number]


def operations(*, use_numba: bool = True) -> Operations:
    """Return compiled operations, or their twins where numba is missing or not wanted."""
    if use_numba:
        try:
            from analyzer.engine import kernels, window_kernels
        except ImportError:
            pass
        else:
            return _from(kernels, window_kernels)
    from analyzer.engine import twins, window_twins

    return _from(twins, window_twins)


def _from(*modules: ModuleType) -> Operations:
    known = {name: value for module in modules for name, value in vars(module).items()}
    names = [item.name for item in fields(Operations) if item.name != "rooms"]
    return Operations(**{name: known[name] for name in names})
