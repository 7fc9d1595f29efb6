"""Durations as rules write them: a whole number and a unit.

In: text such as ``5m``. Out: whole microseconds, and back.
"""

from __future__ import annotations

import re
from typing import Final

from rules.telemetry.kinds import INT64_MAX

SECOND_US: Final = 1_000_000
UNITS_US: Final = {
    "ms": 1_000,
    "s": SECOND_US,
    "m": 60 * SECOND_US,
    "h": 3_600 * SECOND_US,
    "d": 86_400 * SECOND_US,
}
PATTERN: Final = r"^(0|[1-9][0-9]{0,17})(ms|s|m|h|d)$"
_DURATION = re.compile(PATTERN)


def parse_duration(text: object) -> int:
    """Return a duration in microseconds.

    Raises:
        ValueError: The value is no duration; the text says what one looks like.
    """
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        message = "is no duration; write a whole number and ms, s, m, h or d, such as 5m"
        raise ValueError(message)
    duration_us = int(match[1]) * UNITS_US[match[2]]
    if duration_us > INT64_MAX:
        message = "is too long a duration"
        raise ValueError(message)
    return duration_us


def format_duration(duration_us: int) -> str:
    """Return a duration in the largest unit that divides it; microseconds are cut off."""
    for unit, size_us in reversed(UNITS_US.items()):
        if duration_us % size_us == 0 and duration_us:
            return f"{duration_us // size_us}{unit}"
    return f"{duration_us // UNITS_US['ms']}ms"


def exact_duration(duration_us: int) -> str:
    """Return a measured duration to the microsecond, such as ``1m 2.5s`` or ``0.25ms``."""
    if duration_us < 0:
        return f"-{exact_duration(-duration_us)}"
    if 0 < duration_us < SECOND_US:
        return f"{_decimal(duration_us, UNITS_US['ms'])}ms"
    parts = []
    rest_us = duration_us
    for unit in ("d", "h", "m"):
        whole, rest_us = divmod(rest_us, UNITS_US[unit])
        if whole:
            parts.append(f"{whole}{unit}")
    if rest_us or not parts:
        parts.append(f"{_decimal(rest_us, SECOND_US)}s")
    return " ".join(parts)


def smallest_step_us(duration_us: int) -> int:
    """Return the step by which a duration is tested: a second, or a millisecond below seconds."""
    return UNITS_US["ms"] if duration_us % SECOND_US else SECOND_US


def _decimal(amount: int, unit: int) -> str:
    """Return ``amount / unit`` exactly; ``unit`` is a power of ten."""
    whole, part = divmod(amount, unit)
    digits = f"{part:0{len(str(unit)) - 1}}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
