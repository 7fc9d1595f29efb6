"""Findings as rows, and exclusions: what a run came to, addressable one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from analyzer.model.agents import Interface
from analyzer.model.tags import Tag

CLEAN_TITLE: Final = "No potential security issues found"
CLEAN_RULE: Final = "no-potential-security-issues-found"
SEVERITIES: Final = ("High", "Medium", "Low", "Informational", "Undefined")


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """A finding as lists sort and filter it; ``rule`` is the ``id`` of Inspector's findings.

    Attributes:
        id: The last part of its ARN: the same whenever the same run is judged.
        run_arn: The run that found it.
        package: Id of the rules package.
        rule: Id of the rule.
        agent_id: The host.
        hostname: Its name; empty where it is not known.
        auto_scaling_group: The host's group; empty where there is none.
        host_tags: The host's tags when the run started.
        interfaces: The host's network interfaces when it was judged, as far as they are known.
        severity: High, Medium, Low, Informational.
        numeric_severity: 9, 6, 3, 0.
        title: One sentence that names host and defect.
        description: What the rule looks for, and why.
        recommendation: What to do.
        attributes: Set by the rule.
        user_attributes: From the template, then edited.
        created_us: When the run ended.
        updated_us: When its attributes were last changed.
        occurrence_id: Of this occurrence, in result documents.
        issue_id: Of the issue behind it, the same in every run.
        body: The finding in the result document, canonical JSON; empty of the finding that says
            that there is none.
    """

    id: str
    run_arn: str
    package: str
    rule: str
    agent_id: str
    hostname: str = ""
    auto_scaling_group: str = ""
    host_tags: dict[str, str] = field(default_factory=dict)
    interfaces: tuple[Interface, ...] = ()
    severity: str
    numeric_severity: int
    title: str
    description: str = ""
    recommendation: str = ""
    attributes: tuple[Tag, ...] = ()
    user_attributes: tuple[Tag, ...] = ()
    created_us: int
    updated_us: int
    occurrence_id: str = ""
    issue_id: str = ""
    body: str = ""

    @property
    def arn(self) -> str:
        """Return its ARN."""
        return f"{self.run_arn}/finding/{self.id}"

    @property
    def is_clean(self) -> bool:
        """Tell whether it says that a rules package found nothing on a host."""
        return self.rule == CLEAN_RULE


ScopeKey = Literal["INSTANCE_ID", "RULES_PACKAGE_ARN"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which host, or which rules package by its id, an exclusion is about."""

    key: ScopeKey
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """What a run could not assess or judge; of a preview, ``id`` and ``run_arn`` are empty."""

    title: str
    description: str
    recommendation: str
    scopes: tuple[Scope, ...]
    attributes: tuple[Tag, ...] = ()
    id: str = ""
    run_arn: str = ""

    @property
    def arn(self) -> str:
        """Return its ARN."""
        return f"{self.run_arn}/exclusion/{self.id}"


@dataclass(frozen=True, slots=True)
class ExclusionsPreview:
    """What a run of a template would exclude now; ``exclusions`` is None while it is made."""

    token: str
    template_arn: str
    created_us: int
    exclusions: tuple[Exclusion, ...] | None = None
