"""Words of SQL: names, literal values, and tables as DuckDB reads them.

In: values of rules, of any content. Out: text that means exactly them inside a statement.
"""

from __future__ import annotations

import glob
from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.columns import Value

WIDTH: Final = 100  # columns of a statement; only a long value goes beyond
RESERVED: Final = frozenset({"group"})
"""Kinds and columns whose name is a word of SQL; a test asks DuckDB for all of its words."""


def name(column: str) -> str:
    """Return a column or a telemetry kind as SQL names it."""
    return f'"{column}"' if column in RESERVED else column


def names(columns: Iterable[str]) -> str:
    """Return columns as a list."""
    return ", ".join(map(name, columns))


def literal(value: Value) -> str:
    """Return a value as SQL writes it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    # What cannot be seen is named by its number: a statement holds no null character, and moving
    # a line to the right must not reach into a text.
    parts = [
        part
        for printable, run in groupby(value, key=str.isprintable)
        for part in (
            [_quoted("".join(run))] if printable else [f"chr({ord(item)})" for item in run]
        )
    ]
    return parts[0] if len(parts) == 1 else f"({' || '.join(parts or [_quoted('')])})"


def literals(values: Iterable[Value], *, indent: str, offset: int = 0) -> str:
    """Return values in parentheses; too many for one line stand indented on several.

    Args:
        values: At least one.
        indent: Of the line that the list begins on.
        offset: Columns that come before the list on its line.
    """
    written = [literal(value) for value in values]
    line = f"({', '.join(written)})"
    if offset + len(line) <= WIDTH:
        return line
    lines: list[str] = [f"{indent}  {written[0]}"]
    for item in written[1:]:
        if len(lines[-1]) + len(item) + 3 <= WIDTH:
            lines[-1] += f", {item}"
        else:
            lines[-1] += ","
            lines.append(f"{indent}  {item}")
    return "\n".join(["(", *lines, f"{indent})"])


def table(kind: str, folder: str | None = None) -> str:
    """Return a telemetry kind as something to read from: a view of its name, or its file."""
    if folder is None:
        return name(kind)
    path = f"{folder.rstrip('/')}/" if folder not in ("", ".") else ""
    # DuckDB takes *, ? and [ in a path for a pattern, and escapes them as Python does.
    return f"read_parquet({_quoted(glob.escape(path) + file_name(kind))})"


def file_name(kind: str) -> str:
    """Return the name of the Parquet file of a telemetry kind."""
    return f"{kind}.parquet"


def comment(text: str) -> str:
    """Return text as a comment of one line, whatever it holds."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return f"-- {' '.join(printable.split())}"


def indented(lines: Sequence[str]) -> list[str]:
    """Return lines, and lines inside them, two columns further to the right."""
    return [f"  {line}" for text in lines for line in text.split("\n")]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
