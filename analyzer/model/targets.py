"""What is assessed and how: resource groups, assessment targets, assessment templates."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.model.tags import Tag


@dataclass(frozen=True, slots=True)
class ResourceGroup:
    """A tag selector: a host with any of these tags is in it. Never changed, never deleted."""

    arn: str
    tags: tuple[Tag, ...]
    created_us: int


@dataclass(frozen=True, slots=True)
class Target:
    """A named set of hosts: those of a resource group, or all of them without one."""

    arn: str
    name: str
    resource_group_arn: str | None
    created_us: int
    updated_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What runs of a target are made from; only its tags change.

    Attributes:
        arn: Its name; starts with the target's.
        target_arn: What is assessed.
        name: Unique among the target's templates.
        duration_s: How long a run collects.
        packages: Ids of the rules packages.
        user_attributes: What every finding of its runs is given.
        tags: For whoever keeps order among templates.
        created_us: When it was made.
        run_count: How many runs of it exist.
        last_run_arn: The newest of them; empty where there is none.
    """

    arn: str
    target_arn: str
    name: str
    duration_s: int
    packages: tuple[str, ...]
    user_attributes: tuple[Tag, ...] = ()
    tags: tuple[Tag, ...] = ()
    created_us: int = 0
    run_count: int = 0
    last_run_arn: str = ""


@dataclass(frozen=True, slots=True)
class RulesPackage:
    """A rules package as its users see it; ``id`` is its name inside."""

    arn: str
    id: str
    name: str
    version: str
    provider: str
    description: str
