import pytest

from analyzer.commands.finding_options import expiry_us, group_of, query_of
from analyzer.errors import AssessmentError
from analyzer.suppression.finding_list import FindingQuery

DAY = 86_400_000_000


def test_query_is_what_was_given() -> None:
    made = query_of(severities="high, LOW", rules="a,b", packages="", hosts="h", status="open")
    assert made == FindingQuery(
        severities=("High", "Low"), rules=("a", "b"), hosts=("h",), states=("open",)
    )
    assert query_of(severities="", rules="", packages="", hosts="", status="all") == FindingQuery()
    with pytest.raises(AssessmentError, match="--severity worst: there are High, Medium"):
        query_of(severities="worst", rules="", packages="", hosts="", status="all")


def test_group_is_columns_and_values() -> None:
    assert group_of(["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    for pair in ("a", "=1", "a="):
        with pytest.raises(AssessmentError, match="write it as column=value"):
            group_of([pair])


def test_end_is_a_whole_day_or_a_span() -> None:
    assert expiry_us(until="1970-01-02", duration="", now_us=5) == 2 * DAY
    assert expiry_us(until="", duration="30d", now_us=5) == 30 * DAY + 5
    for until, duration in (("", ""), ("1970-01-02", "30d")):
        with pytest.raises(AssessmentError, match="say when it ends"):
            expiry_us(until=until, duration=duration, now_us=0)
    with pytest.raises(AssessmentError, match="--until soon"):
        expiry_us(until="soon", duration="", now_us=0)
    with pytest.raises(AssessmentError, match="--for soon"):
        expiry_us(until="", duration="soon", now_us=0)
