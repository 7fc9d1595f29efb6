"""Tables: what was measured, for people: Markdown that reads well in a terminal too.

In: rows of the suite. Out: text. Where counts differ there is no ratio, but the difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.judging.suite import EngineRow, OwnRow
    from benchmarks.judging.task import Measured

_ENGINE_HEAD: Final = (
    *("engine", "rules", "on", "events", "M events/s", "ours is", "equal counts"),
    *("compile s", "load s", "RSS MB"),
)
_OWN_HEAD: Final = (
    *("how", "rules", "events", "M events/s", "fed", "µs a slice", "set-up s", "outcomes s"),
    *("RSS MB", "notes"),
)
_SHOWN: Final = 5  # rules whose counts differ


def engine_table(rows: Iterable[EngineRow]) -> str:
    """Return the table of engines."""
    rows = list(rows)
    text = _table(_ENGINE_HEAD, map(_engine_cells, rows))
    return text + "".join(f"\n{line}" for row in rows for line in _differences(row))


def told(row: EngineRow) -> str:
    """Return one row in a few words, for who waits for the others."""
    if row.measured.problem:
        return row.measured.problem
    ratio = "counts differ" if row.ratio is None else f"ours is {row.ratio:,.1f}x"
    return f"{_millions(row.measured.rate)} M events/s, {ratio}"


def own_table(rows: Iterable[OwnRow]) -> str:
    """Return the table of what we reach, part by part."""
    return _table(_OWN_HEAD, map(_own_cells, rows))


def _engine_cells(row: EngineRow) -> Sequence[str]:
    measured = row.measured
    kinds = "all rules" if row.kinds == "all" else "single events"
    if measured.problem:
        return row.engine, f"{row.rules}", kinds, "", measured.problem, "", "", "", "", ""
    ratio = f"{row.ratio:,.1f}x" if row.ratio is not None else "not comparable"
    equal = "yes" if not row.different else f"NO, {len(row.different)} rules differ"
    return (
        row.engine,
        f"{row.rules}",
        kinds,
        f"{measured.events:,}",
        _millions(measured.rate),
        ratio,
        equal,
        f"{measured.compile_s:.2f}",
        f"{measured.load_s:.2f}",
        f"{measured.peak_rss_bytes / 1e6:,.0f}",
    )


def _differences(row: EngineRow) -> list[str]:
    shown = list(row.different.items())[:_SHOWN]
    return [
        f"{row.engine}, {row.rules} rules, {rule}: {theirs} groups, ours {ours}\n"
        for rule, (theirs, ours) in shown
    ]


def _own_cells(row: OwnRow) -> Sequence[str]:
    measured = row.measured
    if measured.problem or not measured.judge_s:
        blank = [""] * (len(_OWN_HEAD) - 4)
        return row.title, f"{row.rules}", "", *blank, measured.problem or _notes(measured)
    return (
        row.title,
        f"{row.rules}",
        f"{measured.events:,}",
        _millions(measured.rate),
        _millions(measured.events / measured.feed_s),
        f"{measured.feed_s / measured.slices * 1e6:,.0f}",
        f"{measured.set_up_s:.2f}",
        f"{measured.conclude_s:.2f}",
        f"{measured.peak_rss_bytes / 1e6:,.0f}",
        _notes(measured),
    )


def _notes(measured: Measured) -> str:
    figures = measured.figures
    notes = [f"{name.replace('_', ' ')} {value:,.4g}" for name, value in figures.items()]
    if measured.before_rss_bytes:
        notes.append(f"{measured.before_rss_bytes / 1e6:,.0f} MB before the first slice")
    return ", ".join(notes)


def _millions(rate: float) -> str:
    return f"{rate / 1e6:,.3g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"
