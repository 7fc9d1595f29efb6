"""Resource groups, targets and templates in memory."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from analyzer.store.memory.matching import passes_target, passes_template
from analyzer.store.memory.state import State, newest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model import ResourceGroup, Tag, Target, TargetFilter, Template, TemplateFilter
    from analyzer.store.protocol import Placed, Position


class MemoryTargets:
    """Resource groups and assessment targets."""

    def __init__(self, state: State) -> None:
        """Use a state."""
        self._state = state

    async def add_group(self, group: ResourceGroup) -> None:
        """Insert a resource group."""
        self._state.groups[group.arn] = (self._state.next(), group)

    async def group(self, arn: str) -> ResourceGroup | None:
        """Return a resource group, or None."""
        found = self._state.groups.get(arn)
        return found[1] if found else None

    async def count_groups(self) -> int:
        """Return how many resource groups there are."""
        return len(self._state.groups)

    async def add(self, target: Target) -> None:
        """Insert a target whose name is free."""
        self._state.targets[target.arn] = (self._state.next(), target)

    async def update(self, target: Target) -> None:
        """Write name, resource group and time of a target that exists."""
        number, _ = self._state.targets[target.arn]
        self._state.targets[target.arn] = (number, target)

    async def get(self, arn: str) -> Target | None:
        """Return a target, or None."""
        found = self._state.targets.get(arn)
        return found[1] if found else None

    async def named(self, name: str) -> Target | None:
        """Return the target of a name, or None."""
        return next((t for _, t in self._state.targets.values() if t.name == name), None)

    async def delete(self, arn: str) -> None:
        """Delete a target with everything that lies in it."""
        self._state.targets.pop(arn, None)
        for _, template in list(self._state.templates.values()):
            if template.target_arn == arn:
                self._state.forget_template(template.arn)

    async def page(
        self, what: TargetFilter, *, after: Position | None, limit: int
    ) -> list[Placed[Target]]:
        """Return up to ``limit`` targets after a position."""
        passes = partial(passes_target, what)
        return newest(self._state.targets, passes, after=after, limit=limit)

    async def count(self) -> int:
        """Return how many targets there are."""
        return len(self._state.targets)


class MemoryTemplates:
    """Assessment templates."""

    def __init__(self, state: State) -> None:
        """Use a state."""
        self._state = state

    async def add(self, template: Template) -> None:
        """Insert a template whose name is free in its target."""
        self._state.templates[template.arn] = (self._state.next(), template)

    async def get(self, arn: str) -> Template | None:
        """Return a template with the number of its runs and the last of them, or None."""
        found = self._state.templates.get(arn)
        return self._with_runs(found[1]) if found else None

    async def named(self, target_arn: str, name: str) -> Template | None:
        """Return the target's template of a name, or None."""
        for _, template in self._state.templates.values():
            if (template.target_arn, template.name) == (target_arn, name):
                return self._with_runs(template)
        return None

    async def set_tags(self, arn: str, tags: Sequence[Tag]) -> None:
        """Replace the tags of a template that exists."""
        number, template = self._state.templates[arn]
        self._state.templates[arn] = (number, replace(template, tags=tuple(tags)))

    async def delete(self, arn: str) -> None:
        """Delete a template with its runs and subscriptions."""
        self._state.forget_template(arn)

    async def page(
        self, what: TemplateFilter, *, after: Position | None, limit: int
    ) -> list[Placed[Template]]:
        """Return up to ``limit`` templates after a position."""
        passes = partial(passes_template, what)
        found = newest(self._state.templates, passes, after=after, limit=limit)
        return [(position, self._with_runs(template)) for position, template in found]

    async def count(self) -> int:
        """Return how many templates there are."""
        return len(self._state.templates)

    def _with_runs(self, template: Template) -> Template:
        runs = [row for row in self._state.runs.values() if row[1].template_arn == template.arn]
        last = max(runs, key=lambda row: row[0])[1].arn if runs else ""
        return replace(template, run_count=len(runs), last_run_arn=last)
