"""Summaries: the text of one finding, with the finding's own values in it.

In: the ``summary`` of a rule and a group that fired. Out: a sentence for people.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from rules.format import Rule
from rules.outcome import Group

OWN_PLACEHOLDERS: Final = ("count", "first_seen", "last_seen")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


def placeholders(text: str) -> list[str]:
    """Return the names in braces, in order."""
    return _PLACEHOLDER.findall(text)


def has_stray_brace(text: str) -> bool:
    """Tell whether a brace belongs to no placeholder."""
    return bool(re.search(r"[{}]", _PLACEHOLDER.sub("", text)))


def summary_of(rule: Rule, group: Group) -> str:
    """Return the text of one finding; null values read ``unknown``, times are UTC seconds.

    Nothing is looked up but plain values, so a foreign summary cannot reach into objects.
    """
    if group.is_closing:
        return f"{group.count} more findings of this rule on this host"
    return _PLACEHOLDER.sub(lambda match: _text(group, match[1]), rule.summary)


def _text(group: Group, name: str) -> str:
    """Return what stands for a name; columns of a group have none of our own names."""
    if name == "count":
        return str(group.count)
    if name == "first_seen":
        return _time(group.first_seen_us)
    if name == "last_seen":
        return _time(group.last_seen_us)
    value = group.key.get(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "unknown" if value is None else str(value)


def _time(time_us: int) -> str:
    try:
        return f"{datetime.fromtimestamp(time_us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, OSError, ValueError):  # outside of the calendar's years
        return f"{time_us} µs"
