import json

import msgspec
import pytest

from analyzer.errors import AssessmentError
from analyzer.model import FindingRow, Matcher, Resolution, Tag
from analyzer.results.document import Result
from analyzer.suppression import Statuses, suppress
from analyzer.suppression.finding_list import (
    FindingList,
    FindingQuery,
    one_of,
    select,
    to_list_json,
    to_list_ndjson,
)
from tests.report_results import one_finding

NOW = 400_000_000


def result() -> Result:
    """Return a result of three findings: one of each severity but Informational."""
    first = one_finding()
    changes = (
        {"severity": "High", "numeric_severity": 9, "rule": "a", "occurrence_id": "11aa"},
        {"occurrence_id": "22bb", "issue_id": "22cc"},
        {"severity": "Low", "numeric_severity": 3, "agent_id": "h-x", "occurrence_id": "22dd"},
    )
    found = [msgspec.structs.replace(first.findings[0], **each) for each in changes]
    return msgspec.structs.replace(first, findings=tuple(found))


def statuses() -> Statuses:
    accepted = suppress(
        Matcher(rule="a"), reason="r", owner="o", now_us=NOW, expires_us=NOW + 1_000_000
    )
    resolved = Resolution(issue_id="22cc", owner="o", note="", at_us=NOW)
    return Statuses([accepted], [resolved], now_us=NOW)


def ids(found: FindingList) -> list[str]:
    return [item.finding.occurrence_id for item in found.items]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (FindingQuery(), ["11aa", "22bb", "22dd"]),
        (FindingQuery(severities=("High", "Low")), ["11aa", "22dd"]),
        (FindingQuery(rules=("a",)), ["11aa"]),
        (FindingQuery(packages=("gone",)), []),
        (FindingQuery(hosts=("db.test",)), ["11aa", "22bb"]),
        (FindingQuery(hosts=("h-x", "db.test")), ["11aa", "22bb", "22dd"]),
        (FindingQuery(states=("open",)), ["22dd"]),
        (FindingQuery(states=("accepted",), severities=("Low",)), []),
        (FindingQuery(states=("resolved",)), ["22bb"]),
    ],
)
def test_findings_match_every_given_part(query: FindingQuery, expected: list[str]) -> None:
    found = select(result(), query, statuses())
    assert ids(found) == expected
    assert found.states == {"open": 1, "accepted": 1, "resolved": 1}


def test_documents_hold_the_findings_that_are_asked_for() -> None:
    found = select(result(), FindingQuery(states=("accepted",)), statuses())
    alone = found.as_result()
    assert alone.summary.findings == {"High": 1, "Medium": 0, "Low": 0, "Informational": 0}
    assert alone.outcomes == found.result.outcomes
    document = json.loads(to_list_json(found))
    assert document["states"] == {"open": 1, "accepted": 1, "resolved": 1}
    assert document["summary"] == alone.summary.findings
    (line,) = to_list_ndjson(found.items).splitlines()
    assert json.loads(line) == document["findings"][0]
    assert json.loads(line)["status_text"] == "by o until 1970-01-01: r"


def test_finding_is_named_by_the_start_of_its_ids() -> None:
    items = select(result(), FindingQuery(), statuses()).items
    assert one_of(items, "11").finding.occurrence_id == "11aa"
    assert one_of(items, "22c").finding.occurrence_id == "22bb"
    with pytest.raises(AssessmentError, match="'22' names several findings: 22bb, 22dd"):
        one_of(items, "22")
    with pytest.raises(AssessmentError, match="no finding of this run is named 'x'"):
        one_of(items, "x")


def test_stored_row_lends_its_names_and_attributes() -> None:
    row = FindingRow(
        id="0-abcdefgh",
        run_arn="arn:r",
        package="p",
        rule="a",
        agent_id="h-db",
        severity="High",
        numeric_severity=9,
        title="t",
        user_attributes=(Tag("team", "blue"),),
        created_us=1,
        updated_us=1,
        occurrence_id="11aa",
    )
    found = select(result(), FindingQuery(), statuses(), rows=[row])
    assert [item.id for item in found.items] == ["0-abcdefgh", "22bb", "22dd"]
    for name in ("0-abcdefgh", "arn:r/finding/0-abcdefgh", "11a"):
        assert one_of(found.items, name).row == row
    first, second, _ = map(json.loads, to_list_ndjson(found.items).splitlines())
    assert first["arn"] == "arn:r/finding/0-abcdefgh"
    assert first["user_attributes"] == {"team": "blue"}
    assert "arn" not in second
