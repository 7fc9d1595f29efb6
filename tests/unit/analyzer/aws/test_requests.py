"""Filters of AWS as those of the domain."""

from __future__ import annotations

from collections.abc import Iterable

from analyzer.aws.requests import finding_filter, run_filter
from analyzer.model import Range


def by_id(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


def test_times_that_replies_show_lie_in_ranges_that_end_there() -> None:
    """Replies show milliseconds; what happened within the last one belongs to it."""
    shown = {"beginDate": 1_767_323_045_004_000, "endDate": 1_767_323_045_004_000}
    found = finding_filter({"filter": {"creationTimeRange": shown}}, by_id)
    assert found.created_us == Range(1_767_323_045_004_000, 1_767_323_045_004_999)
    names = ("startTimeRange", "completionTimeRange", "stateChangeTimeRange")
    runs = run_filter({"filter": {name: {"endDate": 5_000} for name in names}}, by_id)
    assert runs.started_us == runs.completed_us == runs.state_changed_us == Range(None, 5_999)


def test_durations_are_taken_as_they_are() -> None:
    runs = run_filter({"filter": {"durationRange": {"minSeconds": 180, "maxSeconds": 360}}}, by_id)
    assert runs.duration_s == Range(180, 360)
