"""Findings and exclusions in memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.store.memory.matching import passes_finding
from analyzer.store.memory.state import State, newest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model import (
        Exclusion,
        ExclusionsPreview,
        FindingFilter,
        FindingRow,
        Run,
        Tag,
    )
    from analyzer.store.protocol import Placed, Position


class MemoryFindings:
    """Findings and how many there are."""

    def __init__(self, state: State) -> None:
        """Use a state."""
        self._state = state

    async def replace(self, run: Run, rows: Sequence[FindingRow]) -> None:
        """Put findings in the place of all that a run has; count them."""
        for arn, (_, row) in list(self._state.findings.items()):
            if row.run_arn == run.arn:
                del self._state.findings[arn]
        for row in rows:
            kept = replace(row, run_arn=run.arn)
            self._state.findings[kept.arn] = (self._state.next(), kept)
        counts = Counter((row.package, row.severity) for row in rows)
        self._state.finding_counts[run.id] = dict(counts)

    async def get(self, arns: Sequence[str]) -> dict[str, FindingRow]:
        """Return the findings that exist of these, by ARN."""
        return {arn: self._state.findings[arn][1] for arn in arns if arn in self._state.findings}

    async def page(
        self, what: FindingFilter, *, after: Position | None, limit: int
    ) -> list[Placed[str]]:
        """Return ARNs of up to ``limit`` findings after a position."""
        found: list[Placed[str]] = [
            ((row.created_us, number), row.arn)
            for number, row in self._state.findings.values()
            if passes_finding(what, row)
            and (after is None or (row.created_us, number) < (after[0], after[1]))
        ]
        return sorted(found, reverse=True)[:limit]

    async def of_run(self, run_id: str) -> list[FindingRow]:
        """Return a run's findings, highest severity first, then by occurrence and id."""
        found = self._state.runs.get(run_id)
        arn = found[1].arn if found else None
        of_it = [row for _, row in self._state.findings.values() if row.run_arn == arn]
        return sorted(of_it, key=lambda row: (-row.numeric_severity, row.occurrence_id, row.id))

    async def set_user_attributes(
        self, arn: str, attributes: Sequence[Tag], *, updated_us: int
    ) -> None:
        """Replace the user attributes of a finding that exists."""
        found = self._state.findings.get(arn)
        if found is not None:
            changed = replace(found[1], user_attributes=tuple(attributes), updated_us=updated_us)
            self._state.findings[arn] = (found[0], changed)

    async def counts(self, run_id: str) -> dict[tuple[str, str], int]:
        """Return how many findings a run has, by package and severity; without zeros."""
        return dict(self._state.finding_counts.get(run_id, {}))


class MemoryExclusions:
    """Exclusions of runs, and previews."""

    def __init__(self, state: State) -> None:
        """Use a state."""
        self._state = state

    async def replace(self, run_arn: str, rows: Sequence[Exclusion]) -> None:
        """Put exclusions in the place of all that a run has."""
        for arn, (_, row) in list(self._state.exclusions.items()):
            if row.run_arn == run_arn:
                del self._state.exclusions[arn]
        for row in rows:
            self._state.exclusions[row.arn] = (self._state.next(), row)

    async def get(self, arn: str) -> Exclusion | None:
        """Return an exclusion, or None."""
        found = self._state.exclusions.get(arn)
        return found[1] if found else None

    async def page(
        self, run_arn: str, *, after: Position | None, limit: int
    ) -> list[Placed[Exclusion]]:
        """Return up to ``limit`` exclusions of a run after a position."""
        return newest(
            self._state.exclusions, lambda row: row.run_arn == run_arn, after=after, limit=limit
        )

    async def put_preview(self, preview: ExclusionsPreview) -> None:
        """Insert or replace a preview."""
        self._state.previews[preview.token] = preview

    async def preview(self, token: str) -> ExclusionsPreview | None:
        """Return a preview, or None."""
        return self._state.previews.get(token)

    async def pending_previews(self) -> list[ExclusionsPreview]:
        """Return the previews that are to be made, oldest first."""
        pending = [item for item in self._state.previews.values() if item.exclusions is None]
        return sorted(pending, key=lambda item: (item.created_us, item.token))
