"""Terminal: where text goes, and what can be shown there.

Data goes to ``out`` (standard output), everything else to ``err`` (standard error). Colour and
animation need a terminal; NO_COLOR, FORCE_COLOR and TERM=dumb are honoured by rich.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from io import TextIOWrapper
from typing import IO, Final

from rich.console import Console
from rich.text import Text

NARROW: Final = 100  # columns below which a finding takes two lines
_PIPE_WIDTH: Final = 4_096  # nobody wraps lines in a pipe
_LEAST_WIDTH: Final = 20  # columns of a paragraph on even the narrowest terminal
_ASCII: Final = {"●": "*", "✓": "+", "·": "-", "→": "->", "…": "...", "━": "="} | {
    block: str(height) for height, block in enumerate("▁▂▃▄▅▆▇█", start=1)
}


class _Console(Console):
    """A console to which a reader that went away is no error."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        forget_output(self.file)


@dataclass(frozen=True, slots=True)
class Terminal:
    """The two streams of a program, and whether a person watches."""

    out: Console
    err: Console
    is_live: bool
    """Whether ``err`` can be animated."""

    @property
    def is_narrow(self) -> bool:
        """Tell whether a table row has no room for a finding."""
        return self.out.width < NARROW

    @property
    def wraps(self) -> bool:
        """Tell whether lines on ``out`` have an end."""
        return self.out.width < _PIPE_WIDTH

    def note(self, text: str = "", *, style: str = "") -> None:
        """Print one paragraph to standard error."""
        _paragraph(self.err, text, style=style, indent=0)

    def error(self, text: str) -> None:
        """Print to standard error what went wrong, why, and what to do."""
        _paragraph(self.err, f"Error: {text}", style="red", indent=0)

    def problems(self, text: str) -> None:
        """Print problems to standard error, one a line, each as ``path:line: what``."""
        for line in text.splitlines():
            _paragraph(self.err, line, style="red", indent=0)

    def say(self, text: str = "", *, style: str = "", indent: int = 0) -> None:
        """Print one paragraph to standard output; every line of it is indented."""
        _paragraph(self.out, text, style=style, indent=indent)

    def put_text(self, text: str) -> None:
        """Write lines that fit to standard output as they are."""
        self.put(text.encode(self.out.encoding))

    def put(self, data: bytes) -> None:
        """Write a document to standard output as it is; a reader that went away is no error."""
        stream = self.out.file
        try:
            if isinstance(stream, TextIOWrapper):
                stream.flush()
                stream.buffer.write(data)
            else:
                stream.write(data.decode())
            stream.flush()
        except BrokenPipeError:
            forget_output(stream)


def open_terminal(out: IO[str] | None = None, err: IO[str] | None = None) -> Terminal:
    """Return the terminal of this process; ``out`` and ``err`` replace its streams."""
    error_console = _console(sys.stderr if err is None else err)
    is_live = error_console.file.isatty() and not error_console.is_dumb_terminal
    return Terminal(_console(sys.stdout if out is None else out), error_console, is_live)


def fitting(text: str, console: Console) -> str:
    """Return ``text`` with symbols replaced that the console's encoding does not have."""
    if text.isascii():
        return text
    try:
        text.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        for symbol, plain in _ASCII.items():
            text = text.replace(symbol, plain)
        return text.encode("ascii", "backslashreplace").decode()
    return text


def forget_output(stream: IO[str]) -> None:
    """Send what is still buffered for a reader that went away to nowhere."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, stream.fileno())
    finally:
        os.close(devnull)


def _paragraph(console: Console, text: str, *, style: str, indent: int) -> None:
    line = Text(fitting(text, console), style=style)
    room = max(_LEAST_WIDTH, console.width - indent)
    for part in line.wrap(console, room) if text else [line]:
        part.rstrip()
        console.print(" " * indent, part, sep="", soft_wrap=True)


def _console(stream: IO[str]) -> Console:
    is_terminal = stream.isatty()
    width = None if is_terminal or "COLUMNS" in os.environ else _PIPE_WIDTH
    return _Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
