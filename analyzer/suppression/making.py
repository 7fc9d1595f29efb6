"""Making suppressions: what a person enters, checked.

In: a matcher or an issue, reason, owner, end. Out: a suppression or resolution, or every problem of
what was entered.
"""

from __future__ import annotations

import secrets
from typing import Final

from analyzer.errors import AnalyzerError
from analyzer.model import Matcher, Resolution, Suppression

MAX_DAYS: Final = 366
"""How long a risk may be accepted at a time; then somebody has to look again."""
MAX_REASON: Final = 1_000  # letters
MAX_OWNER: Final = 140  # letters
_DAY_US: Final = 86_400_000_000
_ID_BYTES: Final = 4


class SuppressionError(AnalyzerError):
    """A suppression cannot be made as asked; the message names every problem."""


def suppress(
    matcher: Matcher, *, reason: str, owner: str, now_us: int, expires_us: int
) -> Suppression:
    """Return a new suppression.

    Raises:
        SuppressionError: With every problem of what was entered.
    """
    problems = [
        *_matcher_problems(matcher),
        *_text_problems("reason", reason, MAX_REASON),
        *_text_problems("owner", owner, MAX_OWNER),
        *_expiry_problems(now_us, expires_us),
    ]
    if problems:
        raise SuppressionError("; ".join(problems))
    return Suppression(
        id=f"s-{secrets.token_hex(_ID_BYTES)}",
        matcher=matcher,
        reason=reason.strip(),
        owner=owner.strip(),
        created_us=now_us,
        expires_us=expires_us,
    )


def resolve(issue_id: str, *, owner: str, note: str, now_us: int) -> Resolution:
    """Return a new resolution.

    Raises:
        SuppressionError: With every problem of what was entered.
    """
    problems = [
        *_text_problems("owner", owner, MAX_OWNER),
        *_text_problems("note", note, MAX_REASON, least=0),
    ]
    if problems:
        raise SuppressionError("; ".join(problems))
    return Resolution(issue_id=issue_id, owner=owner.strip(), note=note.strip(), at_us=now_us)


def _matcher_problems(matcher: Matcher) -> list[str]:
    if matcher.issue_id or matcher.rule.strip("*"):
        return []
    return ["name an issue or a rule: all findings of a host cannot be accepted at once"]


def _text_problems(name: str, text: str, most: int, *, least: int = 1) -> list[str]:
    if len(text.strip()) < least:
        return [f"the {name} is missing"]
    if not text.isprintable():
        return [f"the {name} holds control characters"]
    return [f"the {name} has more than {most:,} letters"] if len(text) > most else []


def _expiry_problems(now_us: int, expires_us: int) -> list[str]:
    if expires_us <= now_us:
        return ["the end lies in the past"]
    if expires_us > now_us + MAX_DAYS * _DAY_US:
        return [f"a risk is accepted for {MAX_DAYS} days at most; then look again"]
    return []
