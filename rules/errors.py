"""Errors of the rules package: one root, and below it only what some caller catches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class RulesError(Exception):
    """Root of every error that the rules package raises on purpose."""


class WireError(RulesError):
    """Bytes that are no batch.

    Attributes:
        reason: Short closed word for counters, such as ``truncated`` or ``version``.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        """Keep the countable reason apart from the text for people."""
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class EventError(RulesError):
    """A text line that is no event, header or coverage row."""


class RecordingError(RulesError):
    """A recording with lines that cannot be read.

    Attributes:
        problems: ``(line number, text)`` of the first problems.
        total: How many lines were bad in all.
    """

    def __init__(self, path: str, problems: list[tuple[int, str]], total: int) -> None:
        """Compose one message that lists every kept problem with its line."""
        lines = [f"{path}:{number}: {text}" for number, text in problems]
        if total > len(problems):
            lines.append(f"{path}: {total - len(problems)} more lines with problems")
        super().__init__("\n".join(lines))
        self.path = path
        self.problems = problems
        self.total = total


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a file: where, and what in a sentence."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        """Return ``path:line: text``, as editors and CI understand it."""
        return f"{self.path}:{self.line}: {self.text}"


class RuleFileError(RulesError):
    """Rule files or package manifests that break the grammar.

    Attributes:
        problems: Every problem of every file, sorted by path and line.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Compose one message that lists every problem on its own line."""
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))
