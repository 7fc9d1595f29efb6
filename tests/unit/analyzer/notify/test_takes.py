from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.model import EventKind, Route
from tests.notices import TEMPLATE, event

ROUTE = Route(name="soc", url="http://soc.test", options={}, created_us=0)
FINDING = event(EventKind.FINDING_REPORTED)


@pytest.mark.parametrize(
    ("lowest", "severity", "is_told"),
    [
        ("", "Informational", True),
        ("Medium", "High", True),
        ("Medium", "Medium", True),
        ("Medium", "Low", False),
        ("High", "Informational", False),
        ("High", "", True),
    ],
)
def test_route_takes_findings_from_its_lowest_severity(
    lowest: str,
    severity: str,
    is_told: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    route = replace(ROUTE, options={"min_severity": lowest})
    assert route.takes(replace(FINDING, severity=severity)) is is_told


def test_lowest_severity_is_for_findings_alone() -> None:
    route = replace(ROUTE, options={"min_severity": "High"})
    assert route.takes(event(EventKind.RUN_COMPLETED))


def test_route_takes_the_events_of_its_template() -> None:
    route = replace(ROUTE, events=(EventKind.FINDING_REPORTED,))
    assert route.takes(FINDING)
    assert not route.takes(event(EventKind.RUN_STARTED))
    assert replace(ROUTE, template_arn=TEMPLATE).takes(FINDING)
    assert not replace(ROUTE, template_arn=f"{TEMPLATE}x").takes(FINDING)


def test_no_route_hears_of_subscriptions() -> None:
    assert not ROUTE.takes(event(EventKind.NOTIFICATIONS_ENABLED))
