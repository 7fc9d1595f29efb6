"""Terminals for tests: what is printed, as text."""

import re
from dataclasses import dataclass, field
from io import StringIO

from analyzer.present.terminal import Terminal, open_terminal


class Tty(StringIO):
    """A stream that says it is a terminal."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def isatty(self) -> bool:
        return True


@dataclass
class Screen:
    """Both streams of a terminal."""

    out: StringIO = field(default_factory=StringIO)
    err: StringIO = field(default_factory=StringIO)

    def open(self) -> Terminal:
        return open_terminal(self.out, self.err)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.out.getvalue().splitlines()]

    @property
    def messages(self) -> list[str]:
        return [line.rstrip() for line in self.err.getvalue().splitlines()]


def plain(text: str) -> str:
    """Return text without what steers a terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
