"""Lines: events in columns as canonical text, one JSON object a line.

In: rows of many hosts in columns. Out: the same bytes that ``encode_row`` makes of each row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.telemetry.ndjson import encode_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.telemetry.many_hosts import HostRows


def _canonical_lines(table: HostRows) -> Iterator[bytes]:
    """Yield the canonical line of each row, without newline."""
    texts = table.columns.dictionary.texts
    for row, agent in zip(table.columns.rows(""), table.agents.tolist(), strict=True):
        row["agent_id"] = texts[agent]
        yield encode_row(row)


def ordered_lines(tables: Sequence[HostRows]) -> bytes:
    """Return the canonical lines of all rows, by time and bytes, each with its newline."""
    lines = [
        pair
        for table in tables
        for pair in zip(table.columns.ts_us.tolist(), _canonical_lines(table), strict=True)
    ]
    return b"".join(line + b"\n" for _, line in sorted(lines))
