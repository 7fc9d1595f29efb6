"""The review of suppressions: which have expired, will soon, or match nothing.

In: suppressions, and the findings that there are. Out: lists to report, so that no exception
outlives its reason unseen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from analyzer.model import Suppression
from analyzer.suppression.matching import Subject, matches
from analyzer.words import counted, listed, printable, time_text

SOON_DAYS: Final = 14
_SOON_US: Final = SOON_DAYS * 86_400_000_000
_MAX_NAMES: Final = 5  # suppressions that are named in a line


@dataclass(frozen=True, slots=True)
class Review:
    """Suppressions that somebody should look at."""

    expired: tuple[Suppression, ...]
    expiring: tuple[Suppression, ...]
    """Active ones that end within two weeks."""
    unused: tuple[Suppression, ...]
    """Active ones that match no finding."""

    def lines(self) -> list[str]:
        """Return what there is to say, in sentences."""
        told = (
            (self.expired, "has expired", "have expired", True),
            (self.expiring, "expires soon", "expire soon", True),
            (self.unused, "matches no finding", "match no finding", False),
        )
        return [
            f"{counted(len(found), 'suppression')} {one if len(found) == 1 else many}: "
            f"{listed([_named(each, with_end=with_end) for each in found], most=_MAX_NAMES)}."
            for found, one, many, with_end in told
            if found
        ]


def review(
    suppressions: Iterable[Suppression], findings: Iterable[Subject], *, now_us: int
) -> Review:
    """Return which suppressions should be looked at, those that end first in front.

    Args:
        suppressions: All that are kept; those that were taken back are done with.
        findings: Of the newest runs: what a suppression is there for.
        now_us: The present moment.
    """
    kept = (each for each in suppressions if each.ended_us is None)
    ordered = sorted(kept, key=lambda each: (each.expires_us, each.id))
    active = [each for each in ordered if each.is_active(now_us)]
    unused = {each.id: each for each in active}
    for finding in findings:
        used = [each.id for each in unused.values() if matches(each.matcher, finding)]
        for name in used:
            del unused[name]
        if not unused:
            break
    return Review(
        expired=tuple(each for each in ordered if not each.is_active(now_us)),
        expiring=tuple(each for each in active if each.expires_us - now_us <= _SOON_US),
        unused=tuple(unused.values()),
    )


def _named(suppression: Suppression, *, with_end: bool) -> str:
    end = f" on {time_text(suppression.expires_us)[:10]}" if with_end else ""
    matcher = printable(suppression.matcher.text())
    return f"{suppression.id} ({matcher}, {printable(suppression.owner)}{end})"
