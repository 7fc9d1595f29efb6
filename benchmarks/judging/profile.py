"""Profile: which modules of the engine take the time, and which functions.

In: a finished ``cProfile``. Out: lines of text; what C code takes counts for the module that calls
it, so that compiled kernels and numpy appear where they are used.
"""

from __future__ import annotations

import io
import pstats
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import cProfile

_SHOWN: Final = 20  # functions
_PACKAGES: Final = ("analyzer", "rules", "benchmarks")
_LEAST: Final = 0.005  # share of a module below which it is left out


def profile_lines(profile: cProfile.Profile) -> list[str]:
    """Return the share of each module, and the functions that take most."""
    stats: Any = pstats.Stats(profile)
    shares = _by_module(stats.stats)
    total = sum(shares.values())
    lines = [
        f"{share / total:6.1%} {module}"
        for module, share in shares.most_common()
        if share / total >= _LEAST
    ]
    text = io.StringIO()
    shown: Any = pstats.Stats(profile, stream=text)
    shown.strip_dirs().sort_stats("tottime").print_stats(_SHOWN)
    return lines + [line for line in text.getvalue().splitlines() if line.strip()]


def _by_module(stats: dict[Any, Any]) -> Counter[str]:
    """Return seconds by module; code that is not ours counts for those who call it."""
    shares = Counter[str]()
    for function, (_, _, seconds, _, callers) in stats.items():
        module = _module(function)
        own = {caller: took[2] for caller, took in callers.items()}
        if module is not None or not own:
            shares[module or "other"] += seconds
            continue
        for caller, took in own.items():
            shares[_module(caller) or "numpy and others, called by libraries"] += took
    return shares


def _module(function: tuple[str, int, str]) -> str | None:
    """Return the module of a function of this project; None for others."""
    parts = Path(function[0]).parts
    for package in _PACKAGES:
        if package in parts and "site-packages" not in parts:
            return "/".join(parts[parts.index(package) :])
    return None
