from pathlib import Path

import pytest

from rules.check import check
from rules.skeleton import SKELETON_KINDS, skeleton


@pytest.mark.parametrize("kind", SKELETON_KINDS)
def test_skeleton_loads_and_says_what_to_fill_in(tmp_path: Path, kind: str) -> None:
    (tmp_path / "my-rule.yaml").write_text(skeleton("my-rule", kind), encoding="utf-8")

    report = check([tmp_path])

    assert report.malformed == ()
    assert report.rules[0].rule.id == "my-rule"
    assert report.rules[0].rule.detection.kind == kind
    assert report.killed == report.mutants > 0
    assert [problem.text.split(":", 1)[0] for problem in report.problems] == [
        "title",
        "description",
        "rationale",
        "recommendation",
        "references[0].title",
        "references[0].url",
        "limitations[0]",
    ]
    assert all("still has to be written" in problem.text for problem in report.problems)
