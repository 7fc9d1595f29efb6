"""Gates: what makes an assessment fail a pipeline, and with which exit code.

In: a result and what was asked for. Out: an exit code and a sentence. Gates are opt-in:
informational findings exist on almost every host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from analyzer.words import counted, percent
from rules.format import NUMERIC_SEVERITY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.results.document import Result
    from rules.format import Severity

DONE: Final = 0
FAILED: Final = 1
MISUSE: Final = 2
INCONCLUSIVE: Final = 3
UNREACHED: Final = 4
INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Gates:
    """What was asked for; None = not asked."""

    fail_on: Severity | None = None
    min_coverage: float | None = None
    """Share of the run, 0 to 1, that must have been watched on every host."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """One gate that did not hold."""

    exit_code: int
    text: str


def rulings(gates: Gates, result: Result) -> list[Ruling]:
    """Return the gates that a result does not pass, the deciding one first.

    A finding stands whatever the coverage, so a failed gate outweighs an inconclusive one.
    """
    return [*_severity(gates, result), *_coverage(gates, result)]


def exit_code(failed: list[Ruling], *, interrupted: bool) -> int:
    """Return the exit code: 130 after Ctrl+C, else that of the deciding gate, else 0."""
    if interrupted:
        return INTERRUPTED
    return failed[0].exit_code if failed else DONE


def _severity(gates: Gates, result: Result) -> Iterator[Ruling]:
    if gates.fail_on is None:
        return
    least = NUMERIC_SEVERITY[gates.fail_on]
    grave = sum(finding.numeric_severity >= least for finding in result.findings)
    if grave:
        yield Ruling(
            FAILED,
            f"Failed: {counted(grave, 'finding')} at or above {gates.fail_on} "
            f"(--fail-on {gates.fail_on.lower()}).",
        )


def _coverage(gates: Gates, result: Result) -> Iterator[Ruling]:
    if gates.min_coverage is None:
        return
    wanted = f"{percent(gates.min_coverage)} (--min-coverage)"
    if not result.hosts:
        yield Ruling(INCONCLUSIVE, f"Inconclusive: no host was watched, and {wanted} is asked for.")
        return
    least = min(result.hosts, key=lambda host: (host.coverage, host.agent_id))
    if least.coverage < gates.min_coverage:
        host = least.hostname or least.agent_id
        yield Ruling(
            INCONCLUSIVE,
            f"Inconclusive: coverage of {host} is {percent(least.coverage)}, under {wanted}.",
        )
