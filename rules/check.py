"""Check: everything that `rules check` does, as one value.

In: packages, and the problems that loading them found. Out: a report with every problem, how many
tests ran, and how many mutants the tests killed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rules.errors import Problem
from rules.format import Rule
from rules.lint import failed_tests, lint_manifest, lint_rule, withdrawn_ids
from rules.loader import Package, Source, read_packages
from rules.mutants import MutantReport, try_mutants


@dataclass(frozen=True, slots=True)
class RuleReport:
    """How one rule fared; no mutants are made while its own tests fail."""

    rule: Rule
    package: str
    tests: int
    mutants: MutantReport
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """How a set of packages fared.

    Attributes:
        malformed: Problems of files that break the grammar.
        problems: Every other problem.
    """

    rules: tuple[RuleReport, ...]
    packages: tuple[Package, ...]
    malformed: tuple[Problem, ...]
    problems: tuple[Problem, ...] = field(default=())

    @property
    def tests(self) -> int:
        """Return how many tests ran."""
        return sum(rule.tests for rule in self.rules)

    @property
    def mutants(self) -> int:
        """Return how many mutants were tried."""
        return sum(rule.mutants.total for rule in self.rules)

    @property
    def killed(self) -> int:
        """Return how many mutants some test noticed."""
        return sum(rule.mutants.killed for rule in self.rules)


def check(paths: Iterable[Path] = ()) -> Report:
    """Return how the rules at ``paths`` fare; no paths = the shipped packages."""
    packages, malformed = read_packages(paths)
    rules = tuple(
        check_rule(rule, package.id, package.sources[rule.id])
        for package in packages
        for rule in package.rules
    )
    problems = [problem for rule in rules for problem in rule.problems]
    problems += withdrawn_ids(packages)
    if not malformed:  # a file that does not load would look as if it were missing
        problems += [problem for package in packages for problem in lint_manifest(package)]
    return Report(rules, tuple(packages), tuple(malformed), tuple(sorted(problems)))


def check_rule(rule: Rule, package: str, source: Source) -> RuleReport:
    """Return how one rule fares."""
    problems = lint_rule(rule, source)
    failed = failed_tests(rule, source)
    mutants = MutantReport(0, ()) if failed or not rule.tests else try_mutants(rule)
    problems += failed
    problems += [
        source.problem(mutant.place, f"without a test: {mutant.change} and every test still passes")
        for mutant in mutants.survivors
    ]
    return RuleReport(rule, package, len(rule.tests), mutants, tuple(sorted(problems)))
