"""Filters of lists, and pages: what the desk is asked, and what it answers.

Of a filter, every member that is given must hold; inside one, any of its values will do. An empty
filter lets everything pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from analyzer.model.agents import Health, HealthCode
from analyzer.model.runs import RunState
from analyzer.model.tags import Tag

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Range:
    """A range of numbers or of times in µs, both ends included; None = open."""

    low: int | None = None
    high: int | None = None


ANY = Range()


@dataclass(frozen=True, slots=True)
class TargetFilter:
    """Of assessment targets; in ``name_pattern`` ``*`` stands for any characters."""

    name_pattern: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFilter:
    """Of assessment templates; packages by id."""

    target_arns: tuple[str, ...] = ()
    name_pattern: str | None = None
    duration_s: Range = ANY
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Of assessment runs; packages by id."""

    template_arns: tuple[str, ...] = ()
    name_pattern: str | None = None
    states: tuple[RunState, ...] = ()
    duration_s: Range = ANY
    packages: tuple[str, ...] = ()
    started_us: Range = ANY
    completed_us: Range = ANY
    state_changed_us: Range = ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingFilter:
    """Of findings; packages by id. Attributes that are asked for must all be there."""

    run_arns: tuple[str, ...] = ()
    agent_ids: tuple[str, ...] = ()
    auto_scaling_groups: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    attributes: tuple[Tag, ...] = ()
    user_attributes: tuple[Tag, ...] = ()
    created_us: Range = ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAgentFilter:
    """Of the agents of a run."""

    healths: tuple[Health, ...] = ()
    codes: tuple[HealthCode, ...] = ()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list, newest first; ``next_token`` leads to the rest, None at its end."""

    items: tuple[T, ...]
    next_token: str | None = None


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What a batch of ARNs named, in their order; ``failed``: ARN → Inspector's failure code."""

    items: tuple[T, ...]
    failed: dict[str, str]
