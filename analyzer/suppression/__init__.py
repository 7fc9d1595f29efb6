"""Suppression: risks that somebody accepts for a while, and findings that somebody resolved.

Findings stay stored and counted whatever is said here. In: what people say about issues, and
findings. Out: the status of each finding, and which suppressions have expired or match nothing.
"""

from __future__ import annotations

from analyzer.suppression.making import MAX_DAYS, SuppressionError, suppress
from analyzer.suppression.matching import FindingSubject, Subject, matches
from analyzer.suppression.review import Review, review
from analyzer.suppression.status import Status, Statuses

__all__ = [
    "MAX_DAYS",
    "FindingSubject",
    "Review",
    "Status",
    "Statuses",
    "Subject",
    "SuppressionError",
    "matches",
    "review",
    "suppress",
]
