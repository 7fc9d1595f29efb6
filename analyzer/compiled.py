"""Compiled: functions over arrays as machine code.

In: a function of numbers and numpy arrays. Out: the same function, compiled on its first call.
Compiling takes seconds, so the code is kept on disk where the disk allows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Function = TypeVar("Function", bound=Callable[..., Any])

# Without reference counts (nrt) nothing can be allocated inside, and calls with many arrays cost
# nothing; with them, reading a line of JSON took ten times as long.
_OPTIONS: Final = {"nogil": True, "error_model": "numpy", "_nrt": False}


def compiled(function: Function) -> Function:
    """Return a function compiled; while it runs, other threads run too."""
    try:
        return _njit(function, cache=True)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return _njit(function)


def inlined(function: Function) -> Function:
    """Return a function whose code becomes part of each compiled function that calls it."""
    return _njit(function, inline="always")


def _njit(function: Function, **options: object) -> Function:
    made: Function = njit(function, **_OPTIONS, **options)  # type: ignore[call-overload]
    return made
