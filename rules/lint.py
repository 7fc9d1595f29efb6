"""Lint: what is wrong with rules and packages that the grammar cannot see.

In: packages that load. Out: problems as values with path and line: texts, links, tests that fail,
values that can never occur, manifests that disagree with their rules.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rules.columns import Value, shown, stored_form, suggestion
from rules.errors import Problem
from rules.faults import Location
from rules.format import VOLATILE_COLUMNS, Rule
from rules.loader import Package, Source
from rules.rehearsal import mismatch, stages
from rules.selector import Condition, Selector
from rules.summary import OWN_PLACEHOLDERS, has_stray_brace, placeholders
from rules.telemetry.kinds import KINDS

FILL_IN: Final = "FILL IN"
"""What a new rule's skeleton says where its author has to write."""
Found = Iterator[tuple[Location, str]]


def lint_rule(rule: Rule, source: Source) -> list[Problem]:
    """Return every problem of a rule's texts, values and test list."""
    checks = (_names, _texts, _links, _summary, _repeats, _identity, _values, _events, _tests)
    return [source.problem(*found) for check in checks for found in check(rule, source)]


def failed_tests(rule: Rule, source: Source) -> list[Problem]:
    """Return a problem for each test of a rule that does not end as it says."""
    told = ((index, mismatch(rule, stage)) for index, stage in enumerate(stages(rule)))
    return [
        source.problem(("tests", index), f"test {rule.tests[index].name!r} fails: {text}")
        for index, text in told
        if text is not None
    ]


def lint_manifest(package: Package) -> list[Problem]:
    """Return every way in which a manifest disagrees with its folder; none for bare files."""
    if package.manifest is None or package.source is None:
        return []
    source, manifest = package.source, package.manifest
    rules = [rule.id for rule in package.rules]
    found = [
        *_same_name(package.path, package.id),
        *_listed(manifest.rules, rules, "rules", "no rule file has this id"),
        *_listed(
            manifest.telemetry, package.telemetry, "telemetry", "no rule of the package needs it"
        ),
    ]
    return [source.problem(*fault) for fault in found]


def withdrawn_ids(packages: Iterable[Package]) -> list[Problem]:
    """Return a problem for each rule whose id a package has withdrawn."""
    packages = list(packages)
    withdrawn = {
        name: package.id
        for package in packages
        if package.manifest is not None
        for name in package.manifest.withdrawn
    }
    return [
        source.problem(("id",), f"{name} was withdrawn from {withdrawn[name]}; ids are not reused")
        for package in packages
        for name, source in package.sources.items()
        if name in withdrawn
    ]


def _names(rule: Rule, source: Source) -> Found:
    if rule.id != source.stem:
        yield ("id",), f"{rule.id} differs from the file's name, {source.stem}"
    if rule.title.lower().startswith("ensure"):
        yield ("title",), "says what should be; state what is so"


def _texts(rule: Rule, _: Source) -> Found:
    for place, text in _strings({**rule.document, "tests": []}, ()):
        if FILL_IN in text:
            yield place, f"still has to be written: {text.replace(FILL_IN, '').strip(' :')}"
        elif not text.strip():
            yield place, "is blank"


def _strings(plain: object, place: Location) -> Found:
    if isinstance(plain, str):
        yield place, plain
    elif isinstance(plain, dict):
        for key, value in plain.items():
            yield from _strings(value, (*place, key))
    elif isinstance(plain, list):
        for index, value in enumerate(plain):
            yield from _strings(value, (*place, index))


def _links(rule: Rule, _: Source) -> Found:
    for index, reference in enumerate(rule.references):
        if FILL_IN not in reference.url and not _is_link(reference.url):
            yield ("references", index, "url"), f"{shown(reference.url)} is no web address"


def _is_link(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    spelled = url.isascii() and url.isprintable() and " " not in url
    return spelled and parts.scheme in ("http", "https") and "." in host.strip(".")


def _summary(rule: Rule, _: Source) -> Found:
    known = (*rule.group_by, *OWN_PLACEHOLDERS)
    for name in placeholders(rule.summary):
        if name not in known:
            text = f"{{{name}}} is neither in group_by nor one of {', '.join(OWN_PLACEHOLDERS)}"
            yield ("summary",), text + suggestion(name, known)
    if has_stray_brace(rule.summary):
        yield ("summary",), "has a brace that belongs to no placeholder"


def _repeats(rule: Rule, _: Source) -> Found:
    yield from _repeated(("limitations",), rule.limitations)
    yield from _repeated(("references",), [reference.url for reference in rule.references])
    yield from _repeated(("attack",), rule.attack or ())
    yield from _repeated(("cwe",), rule.cwe or ())
    yield from _repeated(("tests",), [case.name for case in rule.tests])
    for place, condition, _selector in _conditions(rule):
        if isinstance(condition.value, tuple):
            yield from _repeated(place, condition.value)


def _repeated(place: Location, items: Iterable[Hashable]) -> Found:
    seen: set[Hashable] = set()
    for index, item in enumerate(items):
        if item in seen:
            yield (*place, index), f"{shown(item)} is there already"
        seen.add(item)


def _identity(rule: Rule, _: Source) -> Found:
    for index, name in enumerate(rule.identity or ()):
        if name in VOLATILE_COLUMNS:
            yield ("identity", index), f"{name} changes from run to run and identifies nothing"


def _values(rule: Rule, _: Source) -> Found:
    for place, condition, selector in _conditions(rule):
        column = selector.kind.columns[condition.column]
        values: tuple[Value, ...] = (
            condition.value if isinstance(condition.value, tuple) else (condition.value,)
        )
        for value in values:
            stored = stored_form(column, value)
            if stored != value:
                yield place, f"{shown(value)} never occurs; telemetry has {shown(stored)}"
    for key, selector in _selectors(rule):
        for name, accepted in selector.pinned.items():
            if not accepted:
                yield ("detection", key, "where", name), "no value satisfies all its conditions"


def _selectors(rule: Rule) -> Iterator[tuple[str, Selector]]:
    for key in ("select", "unless", "first", "then"):
        selector = getattr(rule.detection, key, None)
        if selector is not None:
            yield key, selector


def _conditions(rule: Rule) -> Iterator[tuple[Location, Condition, Selector]]:
    """Yield every condition with its place and selector."""
    for key, selector in _selectors(rule):
        groups: list[tuple[Location, Iterable[Condition]]] = [(("where",), selector.where)]
        groups += [(("any_of", index), group) for index, group in enumerate(selector.any_of)]
        groups += [(("none_of", index), group) for index, group in enumerate(selector.none_of)]
        for place, group in groups:
            for condition in group:
                where = ("detection", key, *place, condition.column, condition.operator)
                yield where, condition, selector


def _events(rule: Rule, _: Source) -> Found:
    for number, case in enumerate(rule.tests):
        for index, event in enumerate(case.events):
            columns = KINDS[event.telemetry].columns
            row = next(event.rows())
            for name, value in event.values.items():
                if columns[name].derived and row.get(name) != value:
                    place = ("tests", number, "events", index, name)
                    made = shown(row.get(name))
                    yield place, f"{shown(value)} contradicts other columns; they make it {made}"


def _tests(rule: Rule, _: Source) -> Found:
    evaluated = [case for case in rule.tests if not case.not_evaluated]
    if not any(case.expect for case in evaluated):
        yield ("tests",), "no test shows that the rule fires"
    if all(case.expect for case in evaluated):
        yield ("tests",), "no test shows a near miss that stays silent"


def _same_name(path: str, name: str) -> Found:
    folder = Path(path).absolute().name
    if name != folder:
        yield ("id",), f"{name} differs from the folder's name, {folder}"


def _listed(listed: tuple[str, ...], real: Iterable[str], key: str, why: str) -> Found:
    real = list(real)
    for index, name in enumerate(listed):
        if name not in real:
            yield (key, index), f"{shown(name)}: {why}{suggestion(name, real)}"
    yield from _repeated((key,), listed)
    missing = [name for name in real if name not in listed]
    if missing:
        yield (key,), f"does not list {', '.join(missing)}"
