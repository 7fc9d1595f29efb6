"""Errors of the rules package: one root, and below it only what some caller catches."""

from __future__ import annotations


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
