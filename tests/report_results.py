"""Results of every shape for tests of reports, and the packages that they are told in."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from analyzer.results.document import (
    SEVERITIES,
    Digests,
    HostResult,
    OutcomeResult,
    Result,
    RunInfo,
    Summary,
    count_by_severity,
)
from analyzer.results.findings import DecisiveWindow, Finding, Histogram
from rules.format import NUMERIC_SEVERITY
from rules.loader import Package, load_packages
from rules.telemetry.kinds import KINDS
from tests.strategies import counts, ids, int64s, kind_names, texts, values_of

PACKAGES = load_packages()
RULES = {rule.id: (package, rule) for package in PACKAGES for rule in package.rules}
AGENTS = ("i-0123456789abcdef0", "h-db", "h-<b>web</b>")

_hostile = st.sampled_from(
    [
        "<script>alert(1)</script>",
        "=1+1",
        "@SUM(A1)",
        "a\r\nb",
        "{0} [x](1)",
        "\x00\x1b[31m",
        '"',
        "",
    ]
)
words = texts | _hostile
shares = st.sampled_from([0, 0.333333, 1])
numbers = st.none() | int64s
severities = st.sampled_from(SEVERITIES)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """Draw one event as it stands in a finding: null columns left out."""
    kind = KINDS[draw(kind_names)]
    columns = {
        name: words if values_of(column) is texts else values_of(column)
        for name, column in kind.columns.items()
    }
    values = draw(st.fixed_dictionaries({}, optional=columns))
    agent_id = draw(st.sampled_from(AGENTS))
    return {"telemetry": kind.name, "ts_us": draw(int64s), "agent_id": agent_id, **values}


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    """Draw one finding: of a shipped rule, of another version of one, or of one that is gone."""
    rule_id = draw(st.sampled_from([*sorted(RULES)[:5], "gone-rule"]))
    package, rule = RULES.get(rule_id, (None, None))
    severity = draw(severities)
    evidence = tuple(draw(st.lists(rows(), max_size=3)))
    first_us, last_us = sorted(draw(st.tuples(int64s, int64s)))
    group_names = rule.group_by if rule else ("process_name",)
    return Finding(
        rule=rule_id,
        rule_version=draw(st.sampled_from([rule.version if rule else 1, 99])),
        package=package.id if package else "gone",
        agent_id=draw(st.sampled_from(AGENTS)),
        severity=severity,
        numeric_severity=NUMERIC_SEVERITY[severity],
        title=draw(words),
        group={name: draw(st.none() | words | int64s | st.booleans()) for name in group_names},
        count=draw(counts),
        first_seen_us=first_us,
        last_seen_us=last_us,
        occurrence_id=draw(ids),
        issue_id=draw(ids),
        coverage=draw(shares),
        evidence=evidence,
        and_more=0 if evidence else draw(counts),
        window=DecisiveWindow(from_us=first_us, to_us=last_us, coverage=draw(shares)),
        measured=draw(numbers),
        limit=draw(numbers),
        margin=draw(numbers),
        buckets=Histogram(
            width_us=draw(st.sampled_from([60_000_000, 86_400_000_000])),
            counts=tuple((start, draw(st.integers(1, 9))) for start in (0, 120_000_000)),
        ),
    )


@st.composite
def outcomes(draw: st.DrawFn) -> OutcomeResult:
    """Draw what one rule came to on one host."""
    outcome = draw(st.sampled_from(["findings", "clean", "not_evaluated"]))
    return OutcomeResult(
        rule=draw(st.sampled_from([*sorted(RULES)[:5], "gone-rule"])),
        agent_id=draw(st.sampled_from(AGENTS)),
        outcome=outcome,  # type: ignore[arg-type]
        reason=draw(words) if outcome == "not_evaluated" else None,
        coverage=draw(shares),
        findings=1,
    )


@st.composite
def results(draw: st.DrawFn) -> Result:
    """Draw a whole result, whose parts need not agree: a report must stand anything."""
    found = tuple(draw(st.lists(findings(), max_size=3)))
    judged = tuple(draw(st.lists(outcomes(), max_size=3)))
    from_us, to_us = sorted(draw(st.tuples(int64s, int64s)))
    arn = st.sampled_from([None, "arn:aws-cn:inspector:cn-north-1:123456789012:x", "arn:odd"])
    return Result(
        format=1,
        run=RunInfo(
            id=draw(ids),
            name=draw(words),
            state="COMPLETED",
            from_us=from_us,
            to_us=to_us,
            digests=Digests(events="e", rules="r", settings="s"),
            arn=draw(arn),
        ),
        hosts=tuple(
            HostResult(agent_id=name, hostname=draw(st.none() | words), events=1, coverage=0.5)
            for name in AGENTS[: draw(st.integers(0, 3))]
        ),
        outcomes=judged,
        findings=found,
        summary=Summary(
            findings=count_by_severity(found),
            rules=5,
            evaluated_pairs=1,
            pairs=3,
            events=draw(counts),
        ),
    )


CONNECTION = {
    "telemetry": "connection",
    "direction": "outbound",
    "local_address": "10.0.0.7",
    "remote_address": "10.0.9.8",
    "remote_port": 23,
    "process_name": "telnet",
}


def one_finding(**changes: Any) -> Result:  # noqa: ANN401 (any field of a finding)
    """Return a result of one finding that differs from a plain one in some fields."""
    plain = Finding(
        rule="insecure-client-login",
        rule_version=99,
        package="runtime-behavior",
        agent_id="h-db",
        severity="Medium",
        numeric_severity=6,
        title="Telnet was used",
        group={"process_name": "telnet"},
        count=2,
        first_seen_us=60_000_000,
        last_seen_us=240_000_000,
        occurrence_id="0123",
        issue_id="4567",
        coverage=1,
        evidence=({"ts_us": 60_000_000, "agent_id": "h-db", **CONNECTION},),
        and_more=0,
        window=DecisiveWindow(from_us=60_000_000, to_us=240_000_000, coverage=1),
        measured=None,
        limit=None,
        margin=None,
        buckets=Histogram(width_us=60_000_000, counts=((60_000_000, 1), (240_000_000, 1))),
    )
    finding = msgspec.structs.replace(plain, **changes)
    return Result(
        format=1,
        run=RunInfo(
            id="0-abc",
            name="nightly",
            state="COMPLETED",
            from_us=0,
            to_us=300_000_000,
            digests=Digests(events="e1", rules="r2", settings="s3"),
        ),
        hosts=(HostResult(agent_id=finding.agent_id, hostname="db.test", events=2, coverage=1),),
        outcomes=(
            OutcomeResult(
                rule=finding.rule,
                agent_id=finding.agent_id,
                outcome="findings",
                reason=None,
                coverage=1,
                findings=1,
            ),
        ),
        findings=(finding,),
        summary=Summary(
            findings=count_by_severity([finding]), rules=1, evaluated_pairs=1, pairs=1, events=2
        ),
    )


def packages_of(*names: str) -> list[Package]:
    """Return shipped packages; all of them without names."""
    return [package for package in PACKAGES if not names or package.id in names]
