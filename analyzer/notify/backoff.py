"""How long to wait after a failure: twice as long each time, spread by chance, up to a ceiling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

FIRST_S: Final = 1.0
CEILING_S: Final = 900.0
MAX_ATTEMPTS: Final = 12  # about 35 minutes to an hour, then a notice is given up


def delay_s(failures: int, *, rng: Random, ceiling_s: float = CEILING_S) -> float:
    """Return seconds to wait after so many failures in a row: half of the time at least.

    The chance keeps destinations that failed together from being tried together.
    """
    doublings = min(max(failures, 1) - 1, 32)  # beyond, the ceiling holds anyway
    longest_s = min(ceiling_s, FIRST_S * 2**doublings)
    return rng.uniform(longest_s / 2, longest_s)
