import pytest

from analyzer.assessments import Limits, limits_of
from analyzer.errors import AssessmentError


def test_limits_are_changed_by_name() -> None:
    assert limits_of([]) == Limits()
    assert limits_of(["hosts=7", "resource-groups=3"]) == Limits(hosts=7, resource_groups=3)


@pytest.mark.parametrize("text", ["", "hosts", "hosts=", "hosts=-1", "hosts=x", "agents=1"])
def test_other_texts_are_named(text: str) -> None:
    with pytest.raises(AssessmentError, match="is no limit"):
        limits_of([text])
