"""History: whether versions were raised where findings can change.

In: packages as they were and as they are. Out: problems as values, at the file as it is now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rules.errors import Problem
from rules.loader import Package


def undeclared_changes(old: Iterable[Package], new: Iterable[Package]) -> list[Problem]:
    """Return a problem for each change that no version number tells of."""
    before = {package.id: package for package in old}
    return [
        problem
        for package in new
        if package.id in before
        for problem in _package(before[package.id], package)
    ]


def _package(old: Package, new: Package) -> Iterator[Problem]:
    was = {rule.id: rule for rule in old.rules}
    for rule in new.rules:
        earlier = was.pop(rule.id, None)
        if earlier is None or earlier.detection_digest == rule.detection_digest:
            continue
        if rule.version <= earlier.version:
            text = f"findings can change since version {earlier.version}; raise it"
            yield new.sources[rule.id].problem(("version",), text)
    if new.source is None or new.manifest is None:
        return
    for name in sorted(was.keys() - set(new.manifest.withdrawn)):
        yield new.source.problem(("withdrawn",), f"{name} is gone and has to be listed here")
    if _digests(old) != _digests(new) and _number(new.version) <= _number(old.version):
        text = f"rules changed since version {old.version}; raise it"
        yield new.source.problem(("version",), text)


def _digests(package: Package) -> dict[str, str]:
    return {rule.id: rule.digest for rule in package.rules}


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
