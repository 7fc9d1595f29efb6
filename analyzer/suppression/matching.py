"""Matching: which findings a suppression is about.

In: a matcher and a finding. Out: whether it is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Protocol

import msgspec

from analyzer.model import Matcher
from analyzer.words import value_text
from rules.columns import Value


class Subject(Protocol):
    """A finding, as far as it matters here; ``Finding`` is one."""

    @property
    def issue_id(self) -> str:
        """Return the id of the issue behind it."""
        ...

    @property
    def rule(self) -> str:
        """Return the rule's id."""
        ...

    @property
    def agent_id(self) -> str:
        """Return the host."""
        ...

    @property
    def group(self) -> Mapping[str, Value | None]:
        """Return the group's columns."""
        ...

    @property
    def last_seen_us(self) -> int:
        """Return when it was last seen."""
        ...


class FindingSubject(msgspec.Struct, frozen=True, kw_only=True):
    """A finding read from its JSON as far as it matters here."""

    issue_id: str
    rule: str
    agent_id: str
    group: dict[str, Value | None]
    last_seen_us: int


def matches(matcher: Matcher, finding: Subject) -> bool:
    """Tell whether a finding is meant."""
    return (
        matcher.issue_id in {"", finding.issue_id}
        and _fits(finding.rule, matcher.rule)
        and _fits(finding.agent_id, matcher.agent_id)
        and all(
            name in finding.group and _fits(value_text(finding.group[name]), wanted)
            for name, wanted in matcher.group.items()
        )
    )


def _fits(text: str, pattern: str) -> bool:
    """Tell whether text fits a pattern in which ``*`` alone is special; an empty one fits all."""
    return not pattern or fnmatchcase(text, pattern.replace("[", "[[]").replace("?", "[?]"))
