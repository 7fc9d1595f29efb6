"""What is to be done about a schedule whose time has come, or has passed while nobody looked.

In: a schedule and the time. Out: which time a run is started for, which were missed, and the next.

The rule for times that passed while the server was away: the last of them is made up for once, if
it is at most 15 minutes ago; all earlier ones are missed, and recorded as one outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from analyzer.scheduler.expressions import Expression

GRACE_US: Final = 15 * 60_000_000


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done.

    Attributes:
        start_us: The time that a run is started for, or None.
        missed_us: The first time that nothing is started for, or None.
        next_us: The next time, or None if there is none left.
    """

    start_us: int | None
    missed_us: int | None
    next_us: int | None


def decide(expression: Expression, *, due_us: int, now_us: int) -> Decision:
    """Return what is to be done at ``now_us`` about a schedule that was next due at ``due_us``."""
    latest: int | None = due_us
    if due_us < now_us - GRACE_US:
        # Not one by one: a schedule of every minute may have been left alone for a year.
        latest = expression.next_after(now_us - GRACE_US - 1)
    if latest is None or latest > now_us:
        return Decision(None, due_us, latest)
    following = expression.next_after(latest)
    while following is not None and following <= now_us:
        latest, following = following, expression.next_after(following)
    return Decision(latest, None if latest == due_us else due_us, following)
