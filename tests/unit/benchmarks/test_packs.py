from collections import Counter
from pathlib import Path

import pytest

from benchmarks.fleet.__main__ import write_rules
from benchmarks.fleet.packs import SIZES, make_documents, make_rules
from rules.lint import lint_rule
from rules.loader import load_packages


@pytest.mark.parametrize(
    ("size", "event", "threshold", "absence", "sequence"),
    [(40, 26, 8, 2, 4), (160, 104, 32, 8, 16), (500, 325, 100, 25, 50)],
)
def test_packs_are_mixed_alike(
    size: int, event: int, threshold: int, absence: int, sequence: int
) -> None:
    kinds = Counter(rule.detection.kind for rule in make_rules(size))
    wanted = {"event": event, "threshold": threshold, "absence": absence, "sequence": sequence}
    assert kinds == wanted


def test_larger_pack_begins_with_the_smaller_one() -> None:
    small, _, large = map(make_documents, SIZES)
    assert large[: len(small)] == small


def test_rule_files_of_a_pack_load_and_lack_only_tests(tmp_path: Path) -> None:
    write_rules(tmp_path, 160)
    (package,) = load_packages(tmp_path)
    digests = {rule.id: rule.digest for rule in package.rules}
    assert digests == {rule.id: rule.digest for rule in make_rules(160)}
    problems = [
        problem.text
        for rule in package.rules
        for problem in lint_rule(rule, package.sources[rule.id])
    ]
    assert {text for text in problems if "test" not in text} == set()
