"""What decided a finding, on a terminal: window, margin, and when its rows came.

In: a finding and its rule. Out: at most two lines of text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analyzer.words import percent, time_text
from rules.buckets import MAX_BUCKETS
from rules.detection import AbsenceDetection, SequenceDetection, ThresholdDetection
from rules.durations import exact_duration
from rules.margin import measured_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.results.findings import Finding
    from rules.buckets import Buckets
    from rules.detection import Detection

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_EMPTY: Final = "·"


def decisive_lines(finding: Finding, detection: Detection | None) -> Iterator[str]:
    """Yield what decided, and the histogram where rows came in more than one stretch of time.

    Args:
        finding: Of any kind of rule.
        detection: Of the rule in the version that made it; None where that is gone.
    """
    yield window_line(finding, detection)
    counts, width_us = finding.buckets.counts, finding.buckets.width_us
    if len(counts) > 1 and (bars := histogram(counts, width_us)):
        yield f"{buckets_text(finding)}: {bars}"


def histogram(counts: Buckets, width_us: int) -> str:
    """Return one sign per bucket, higher for more; nothing where there are too many buckets."""
    cells = bucket_cells(counts, width_us)
    most = max(cells, default=0)
    return "".join(_BLOCKS[(cell * 8 - 1) // most] if cell else _EMPTY for cell in cells)


def bucket_cells(counts: Buckets, width_us: int) -> list[int]:
    """Return the number of rows in every bucket, empty ones too; none where they are too many."""
    first_us = counts[0][0]
    length = (counts[-1][0] - first_us) // width_us + 1
    if length > MAX_BUCKETS:
        return []
    cells = [0] * length
    for start_us, count in counts:
        cells[(start_us - first_us) // width_us] = count
    return cells


def window_line(finding: Finding, detection: Detection | None) -> str:
    """Return from when to when something decided, what was measured there, and how watched."""
    window = finding.window
    measured = ""
    if detection is not None and finding.measured is not None:
        measured = f": {measured_words(detection, finding.measured)}"
    span = f"{time_text(window.from_us)} to {time_text(window.to_us)}"
    return f"{_window_word(detection)} {span}{measured}; {percent(window.coverage)} watched"


def buckets_text(finding: Finding) -> str:
    """Return what the bars of a finding's histogram are."""
    counts, width_us = finding.buckets.counts, finding.buckets.width_us
    return f"rows per {exact_duration(width_us)} from {time_text(counts[0][0])[:-4]}"


def _window_word(detection: Detection | None) -> str:
    match detection:
        case ThresholdDetection():
            return "First window above"
        case SequenceDetection():
            return "First pair"
        case AbsenceDetection():
            return "Searched"
    return "Seen"
