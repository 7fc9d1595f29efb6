"""Rule files and packages on disk, for tests."""

import json
from pathlib import Path

import yaml

from tests.rule_documents import Plain, document

TESTS: list[Plain] = [
    {
        "name": "fires once per process",
        "events": [
            {"at": "1s", "telemetry": "connection", "process_name": "a", "remote_port": 23},
            {"at": "1s", "telemetry": "connection", "process_name": "b", "remote_port": 23},
        ],
        "expect": [{"process_name": "a"}, {"process_name": "b"}],
    },
    {
        "name": "silent",
        "events": [{"at": "1s", "telemetry": "connection", "remote_port": 22}],
        "expect": [],
    },
]
"""Tests that kill every mutant of ``tests.rule_documents.EVENT``."""


def write(path: Path, plain: object) -> Path:
    """Write plain values as YAML."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unshared = json.loads(json.dumps(plain))  # a value used twice would become an alias
    path.write_text(yaml.safe_dump(unshared, sort_keys=False), encoding="utf-8")
    return path


def write_rule(folder: Path, name: str = "some-rule", **changes: object) -> Path:
    """Write a rule file that has no problem, unless ``changes`` make one."""
    detection = changes.pop("detection", None)
    assert detection is None or isinstance(detection, dict)
    plain = document(detection, **{"id": name, "tests": TESTS, **changes})
    return write(folder / f"{name}.yaml", plain)


def write_package(folder: Path, *names: str, **changes: object) -> Path:
    """Write a package with rules of the given names."""
    manifest = {
        "format": 1,
        "id": folder.name,
        "title": "A package",
        "version": "1.0.0",
        "provider": "me",
        "description": "Rules.",
        "telemetry": ["connection"],
        "rules": list(names),
        **changes,
    }
    write(folder / "package.yaml", manifest)
    for name in names:
        write_rule(folder, name)
    return folder
