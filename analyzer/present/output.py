"""Output: a result in the wanted format, on standard output or in a file.

In: a result. Out: a table for people, or a document of ``analyzer.reports``. A file appears when
it is complete.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from analyzer.errors import AnalyzerError
from analyzer.present.outcome import show_outcome
from analyzer.present.terminal import open_terminal
from analyzer.reports import Format, document

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.present.terminal import Terminal
    from analyzer.reports.aws_account import AwsAccount
    from analyzer.results.document import Result
    from rules.loader import Package

ALL_EVIDENCE: Final = 20  # events that a finding holds at most


@dataclass(frozen=True, slots=True)
class Output:
    """Where a result goes, and how it looks there."""

    format: Format = "table"
    path: Path | None = None
    """None = standard output."""
    evidence: bool = False
    """Whether the table shows the events of each finding."""
    aws: AwsAccount | None = None
    """Whose findings they are, in formats of AWS."""

    def problem(self) -> str | None:
        """Return why nothing can be written at ``path``, or None; writes nothing."""
        if self.path is None:
            is_terminal = self.format == "pdf" and sys.stdout.isatty()
            return (
                "a PDF is no text for a terminal; name a file with --out" if is_terminal else None
            )
        folder = self.path.parent
        if self.path.is_dir():
            return f"{self.path} is a folder; name a file"
        if not folder.is_dir():
            return f"the folder {folder} does not exist; create it, or choose another --out"
        place = self.path if self.path.exists() else folder
        if not os.access(place, os.W_OK):
            return f"no permission to write {place}; choose another --out"
        return None

    def write(self, terminal: Terminal, result: Result, packages: Sequence[Package]) -> None:
        """Write a result to its place.

        Raises:
            OSError: The file cannot be written.
        """
        if self.path is not None:
            write_whole(self.path, self._document(result, packages))
        elif self.format == "table":
            evidence = ALL_EVIDENCE if self.evidence else 0
            show_outcome(terminal, result, packages, evidence=evidence)
        else:
            terminal.put(self._document(result, packages))

    def _document(self, result: Result, packages: Sequence[Package]) -> bytes:
        if self.format != "table":
            return document(self.format, result, packages, aws=self.aws)
        text = StringIO()
        evidence = ALL_EVIDENCE if self.evidence else 0
        show_outcome(open_terminal(text, text), result, packages, evidence=evidence)
        return text.getvalue().encode()


def deliver(
    terminal: Terminal, content: bytes | Callable[[Terminal], None], path: Path | None
) -> None:
    """Write a document, or what a function shows on a terminal, to a file or standard output.

    Raises:
        AnalyzerError: The file cannot be written.
    """
    if path is None:
        if isinstance(content, bytes):
            terminal.put(content)
        else:
            content(terminal)
        return
    if not isinstance(content, bytes):
        text = StringIO()
        content(open_terminal(text, text))
        content = text.getvalue().encode()
    try:
        write_whole(path, content)
    except OSError as error:
        raise AnalyzerError(f"cannot write {path}: {error.strerror}") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees a part of it; devices and pipes are written directly.

    Raises:
        OSError: It cannot be written; what was there before is still there.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
