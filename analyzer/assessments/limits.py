"""Limits: how many of everything there may be."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from analyzer.errors import AssessmentError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many of everything there may be on one server; Inspector's own where they are known.

    Attributes:
        hosts: In all active runs together.
        runs: Active and ended.
        templates: Of all targets together.
        targets: On the server.
        resource_groups: On the server; none is ever deleted.
        subscriptions: Of one template.
    """

    hosts: int = 500
    runs: int = 50_000
    templates: int = 500
    targets: int = 50
    resource_groups: int = 1_000
    subscriptions: int = 50


MIN_DURATION_S = 180
MAX_DURATION_S = 86_400
MAX_NAME = 140
MAX_KEY = 128
MAX_VALUE = 256
MAX_GROUP_TAGS = 10
MAX_TEMPLATE_TAGS = 10
MAX_USER_ATTRIBUTES = 10
MAX_PACKAGES = 50
MAX_PAGE = 100
MAX_AGENT_PAGE = 500
MAX_SUBSCRIPTION_PAGE = 50
MAX_RESULTS = 500  # what a caller may ask for; a page may hold fewer


def limits_of(texts: Iterable[str]) -> Limits:
    """Return the limits with those changed that ``NAME=NUMBER`` texts state.

    Raises:
        AssessmentError: A text is no such thing, or there is no such limit.
    """
    known = [field.name for field in fields(Limits)]
    changes = {}
    for text in texts:
        name, _, number = text.partition("=")
        if name.replace("-", "_") not in known or not number.isdecimal():
            names = ", ".join(known).replace("_", "-")
            raise AssessmentError(f"{text!r} is no limit; write NAME=NUMBER with one of {names}")
        changes[name.replace("-", "_")] = int(number)
    return replace(Limits(), **changes)
