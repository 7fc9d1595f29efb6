"""What the analyzer keeps: plain frozen values.

How they change is ``assessments``' business, where they are kept ``store``'s. Times are µs since
1970, UTC. Rules packages are named by their ids; the ARN of one is ``Arns.rules_package``'s.
"""

from __future__ import annotations

from analyzer.model.absent_packages import ABSENT_PACKAGES, evaluated
from analyzer.model.agents import (
    AGENT_SILENT_US,
    Agent,
    Health,
    HealthCode,
    Interface,
    ipv4_of,
)
from analyzer.model.events import (
    SUBSCRIBABLE,
    DomainEvent,
    EventKind,
    OutboxMessage,
    PublishStatus,
    Route,
    Subscription,
)
from analyzer.model.filters import (
    FindingFilter,
    Found,
    Page,
    Range,
    RunAgentFilter,
    RunFilter,
    TargetFilter,
    TemplateFilter,
)
from analyzer.model.findings import (
    CLEAN_RULE,
    CLEAN_TITLE,
    SEVERITIES,
    Exclusion,
    ExclusionsPreview,
    FindingRow,
    Scope,
)
from analyzer.model.ids import new_id
from analyzer.model.runs import (
    JUDGED,
    MessageCount,
    Progress,
    Run,
    RunAgent,
    RunState,
    StateChange,
    StopAction,
)
from analyzer.model.schedules import (
    KEPT_OUTCOMES,
    Schedule,
    ScheduleOutcome,
    ScheduleResult,
)
from analyzer.model.suppressions import Matcher, Resolution, Suppression
from analyzer.model.tags import Tag, selects
from analyzer.model.targets import ResourceGroup, RulesPackage, Target, Template

__all__ = [
    "ABSENT_PACKAGES",
    "AGENT_SILENT_US",
    "CLEAN_RULE",
    "CLEAN_TITLE",
    "JUDGED",
    "KEPT_OUTCOMES",
    "SEVERITIES",
    "SUBSCRIBABLE",
    "Agent",
    "DomainEvent",
    "EventKind",
    "Exclusion",
    "ExclusionsPreview",
    "FindingFilter",
    "FindingRow",
    "Found",
    "Health",
    "HealthCode",
    "Interface",
    "Matcher",
    "MessageCount",
    "OutboxMessage",
    "Page",
    "Progress",
    "PublishStatus",
    "Range",
    "Resolution",
    "ResourceGroup",
    "Route",
    "RulesPackage",
    "Run",
    "RunAgent",
    "RunAgentFilter",
    "RunFilter",
    "RunState",
    "Schedule",
    "ScheduleOutcome",
    "ScheduleResult",
    "Scope",
    "StateChange",
    "StopAction",
    "Subscription",
    "Suppression",
    "Tag",
    "Target",
    "TargetFilter",
    "Template",
    "TemplateFilter",
    "evaluated",
    "ipv4_of",
    "new_id",
    "selects",
]
