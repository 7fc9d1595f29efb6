from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.model import Matcher, Resolution, Suppression
from analyzer.results.findings import Finding
from analyzer.suppression import (
    MAX_DAYS,
    Statuses,
    SuppressionError,
    matches,
    review,
    suppress,
)
from tests.report_results import one_finding

DAY = 86_400_000_000
NOW = 20_000 * DAY


def finding(**changes: object) -> Finding:
    return one_finding(**changes).findings[0]


def accepted(
    matcher: Matcher | None = None, *, days: float = 30, name: str = "", owner: str = "Kim"
) -> Suppression:
    made = suppress(
        matcher or Matcher(rule="insecure-client-login"),
        reason="a jump host",
        owner="Kim",
        now_us=NOW,
        expires_us=NOW + round(days * DAY),
    )
    return replace(made, id=name or made.id, owner=owner)


def ids(suppressions: Iterable[Suppression]) -> list[str]:
    return sorted(each.id for each in suppressions)


@pytest.mark.parametrize(
    ("matcher", "is_meant"),
    [
        (Matcher(issue_id="4567"), True),
        (Matcher(issue_id="456"), False),
        (Matcher(rule="insecure-client-login"), True),
        (Matcher(rule="insecure-*"), True),
        (Matcher(rule="Insecure-*"), False),
        (Matcher(rule="insecure-client-logi?"), False),
        (Matcher(rule="[i]nsecure-*"), False),
        (Matcher(rule="insecure-*", agent_id="h-db"), True),
        (Matcher(rule="insecure-*", agent_id="h-web"), False),
        (Matcher(rule="insecure-*", group={"process_name": "tel*"}), True),
        (Matcher(rule="insecure-*", group={"process_name": "ssh"}), False),
        (Matcher(rule="insecure-*", group={"remote_port": "*"}), False),
    ],
)
def test_every_given_part_must_match(matcher: Matcher, is_meant: bool) -> None:  # noqa: FBT001
    assert matches(matcher, finding()) is is_meant


def test_values_that_are_no_text_are_compared_as_text() -> None:
    found = finding(group={"remote_port": 23, "user": None, "is_static": True})
    group = {"remote_port": "23", "user": "null", "is_static": "true"}
    assert matches(Matcher(rule="*login", group=group), found)
    assert Matcher(rule="x", agent_id="h", group=group).text() == (
        "rule x, host h, remote_port=23, user=null, is_static=true"
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"reason": "  "}, "the reason is missing"),
        ({"owner": ""}, "the owner is missing"),
        ({"reason": "a\nb"}, "the reason holds control characters"),
        ({"owner": "a\0"}, "the owner holds control characters"),
        ({"reason": "x" * 1_001}, "the reason has more than 1,000 letters"),
        ({"expires_us": NOW}, "the end lies in the past"),
        ({"expires_us": NOW + (MAX_DAYS + 1) * DAY}, "for 366 days at most; then look again"),
        ({"matcher": Matcher(agent_id="h")}, "name an issue or a rule"),
        ({"matcher": Matcher(rule="**")}, "name an issue or a rule"),
    ],
)
def test_what_cannot_be_accepted_is_said(changes: dict[str, object], problem: str) -> None:
    given = {"matcher": Matcher(rule="x"), "reason": "r", "owner": "o", "expires_us": NOW + DAY}
    given |= changes
    with pytest.raises(SuppressionError, match=problem):
        suppress(given.pop("matcher"), now_us=NOW, **given)  # type: ignore[arg-type]
    with pytest.raises(SuppressionError, match="reason is missing; the owner is missing; the end"):
        suppress(Matcher(rule="x"), reason="", owner="", now_us=NOW, expires_us=0)


def test_status_is_by_whose_word() -> None:
    found = finding(last_seen_us=NOW)
    assert Statuses([], [], now_us=NOW).of(found).state == "open"
    status = Statuses([accepted()], [], now_us=NOW).of(found)
    assert (status.state, status.text()) == ("accepted", "by Kim until 2024-11-03: a jump host")
    expired = Statuses([accepted()], [], now_us=NOW + 30 * DAY).of(found)
    assert (expired.state, expired.text()) == ("open", "")
    early = Resolution(issue_id="4567", owner="Lee", note="closed", at_us=NOW - 1)
    late = Resolution(issue_id="4567", owner="Lee", note="", at_us=NOW)
    assert Statuses([], [early], now_us=NOW).of(found).state == "open"
    resolved = Statuses([], [late, early], now_us=NOW).of(found)
    assert (resolved.state, resolved.text()) == ("resolved", "by Lee on 2024-10-04")
    again = Statuses([], [late], now_us=NOW).of(finding(last_seen_us=NOW + 1))
    assert again.state == "open"


def test_word_on_the_issue_itself_goes_before_a_wide_one() -> None:
    wide, narrow = accepted(days=60), accepted(Matcher(issue_id="4567"), days=10, owner="Lee")
    short = accepted(Matcher(issue_id="4567"), days=5, owner="Max")
    status = Statuses([wide, short, narrow], [], now_us=NOW).of(finding())
    assert status.suppression == narrow


def test_review_names_what_expired_expires_soon_and_matches_nothing() -> None:
    old, used = accepted(days=1, name="s-old"), accepted(days=30, name="s-used")
    unused = accepted(Matcher(rule="gone-*"), days=12, name="s-unused", owner="Lee\x1b")
    made = review([used, unused, old], [finding(), finding()], now_us=NOW + 2 * DAY)
    assert (made.expired, made.expiring, made.unused) == ((old,), (unused,), (unused,))
    assert made.lines() == [
        "1 suppression has expired: s-old (rule insecure-client-login, Kim on 2024-10-05).",
        "1 suppression expires soon: s-unused (rule gone-*, Lee\\x1b on 2024-10-16).",
        "1 suppression matches no finding: s-unused (rule gone-*, Lee\\x1b).",
    ]
    assert review([], [finding()], now_us=NOW).lines() == []
    done = replace(old, ended_us=NOW)
    assert review([done], [], now_us=NOW + 2 * DAY).lines() == []
    assert not done.is_active(NOW)
    nothing = review([used, unused], [], now_us=NOW)
    assert nothing.unused == (unused, used)
    assert nothing.lines()[1].startswith("2 suppressions match no finding: s-unused")


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c*", "*a"]), st.integers(1, 40)), max_size=6),
    st.sampled_from(["a", "b", "ca"]),
    st.integers(0, 50),
)
def test_accepted_is_what_an_active_suppression_matches(
    made: list[tuple[str, int]], rule: str, after_days: int
) -> None:
    suppressions = [
        accepted(Matcher(rule=pattern), days=days, name=f"s-{place}")
        for place, (pattern, days) in enumerate(made)
    ]
    now_us, found = NOW + after_days * DAY, finding(rule=rule)
    active = [each for each in suppressions if each.is_active(now_us)]
    status = Statuses(suppressions, [], now_us=now_us).of(found)
    assert (status.state == "accepted") is any(matches(each.matcher, found) for each in active)
    looked = review(suppressions, [found], now_us=now_us)
    assert ids(looked.expired) == ids(each for each in suppressions if each not in active)
    assert ids(looked.unused) == ids(each for each in active if not matches(each.matcher, found))
