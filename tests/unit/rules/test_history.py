from pathlib import Path
from typing import Any

from rules.history import undeclared_changes
from rules.loader import load_packages
from tests.rule_documents import EVENT, changed
from tests.rule_files import write_package, write_rule

STRICTER = changed(EVENT, select={"telemetry": "connection"})


def told(tmp_path: Path, rule: dict[str, Any], **manifest: object) -> list[str]:
    """Return the problems of a package whose rule is now ``rule``; {} removes it."""
    write_package(tmp_path / "old" / "site", "some-rule", "other-rule")
    new = write_package(tmp_path / "new" / "site", "other-rule", **manifest)
    if rule:
        write_rule(new, **rule)
    found = undeclared_changes(load_packages(tmp_path / "old"), load_packages(tmp_path / "new"))
    return [str(problem).removeprefix(f"{new}/") for problem in found]


def test_nothing_changed(tmp_path: Path) -> None:
    assert told(tmp_path, {"version": 1}) == []


def test_changed_detection_needs_higher_versions(tmp_path: Path) -> None:
    assert told(tmp_path, {"detection": STRICTER}) == [
        "some-rule.yaml:5: version: findings can change since version 1; raise it",
        "package.yaml:4: version: rules changed since version 1.0.0; raise it",
    ]


def test_raised_versions_tell_of_the_change(tmp_path: Path) -> None:
    assert told(tmp_path, {"detection": STRICTER, "version": 2}, version="1.1.0") == []


def test_changed_text_needs_a_higher_package_version_alone(tmp_path: Path) -> None:
    assert told(tmp_path, {"title": "Something else"}) == [
        "package.yaml:4: version: rules changed since version 1.0.0; raise it"
    ]


def test_removed_rule_is_listed_as_withdrawn(tmp_path: Path) -> None:
    assert told(tmp_path, {}, version="2.0.0") == [
        "package.yaml:1: withdrawn: some-rule is gone and has to be listed here"
    ]
    assert told(tmp_path, {}, version="2.0.0", withdrawn=["some-rule"]) == []


def test_bare_rule_files_have_no_package_version(tmp_path: Path) -> None:
    write_rule(tmp_path / "old" / "site")
    write_rule(tmp_path / "new" / "site", detection=STRICTER)
    old, new = load_packages(tmp_path / "old" / "site"), load_packages(tmp_path / "new" / "site")

    assert [problem.text for problem in undeclared_changes(old, new)] == [
        "version: findings can change since version 1; raise it"
    ]
    assert undeclared_changes([], new) == []
