"""Assessments: the domain. What may be created, started, stopped and deleted, and what follows.

``Assessments`` is the desk that API, console and command line call; ``states`` moves runs on.
"""

from __future__ import annotations

from analyzer.assessments.choice import Choice, choose_hosts
from analyzer.assessments.exclusions import ExclusionDesk
from analyzer.assessments.findings import FindingDesk
from analyzer.assessments.happenings import changes_between, outcome_of
from analyzer.assessments.identity import claim, give_id, id_in, identity_of, limits_in, note_limits
from analyzer.assessments.limits import Limits, limits_of
from analyzer.assessments.runs import RunDesk
from analyzer.assessments.starting import StartDesk
from analyzer.assessments.states import (
    AGENT_TIMEOUT_US,
    GRACE_US,
    START_TIMEOUT_US,
    Facts,
    advance,
    create_run,
)
from analyzer.assessments.subscriptions import Role, SubscriptionDesk, TopicSubscriptions
from analyzer.assessments.targets import TargetDesk
from analyzer.assessments.templates import TemplateDesk

__all__ = [
    "AGENT_TIMEOUT_US",
    "GRACE_US",
    "START_TIMEOUT_US",
    "Assessments",
    "Choice",
    "Facts",
    "Limits",
    "Role",
    "TopicSubscriptions",
    "advance",
    "changes_between",
    "choose_hosts",
    "claim",
    "create_run",
    "give_id",
    "id_in",
    "identity_of",
    "limits_in",
    "limits_of",
    "note_limits",
    "outcome_of",
]


class Assessments(
    TargetDesk, TemplateDesk, SubscriptionDesk, StartDesk, RunDesk, FindingDesk, ExclusionDesk
):
    """The desk: one method per use case, each one transaction.

    ARNs of another account or region name nothing here. What is refused raises an
    ``AssessmentError``: NoSuchEntityError, InvalidInputError, LimitExceededError,
    RunInProgressError, AgentsBusyError, PreviewInProgressError.
    """
