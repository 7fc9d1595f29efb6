"""What came closest to a finding, in words.

In: an explanation of a rule without findings. Out: sentences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.words import counted, percent, printable, time_text
from rules.columns import shown
from rules.detection import (
    AbsenceDetection,
    PeriodicDetection,
    SequenceDetection,
    ThresholdDetection,
)
from rules.durations import exact_duration, format_duration
from rules.margin import measured_words
from rules.whynot import AbsenceMiss, PeriodicMiss, SequenceMiss, ThresholdMiss

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.replay.explained import Explanation
    from rules.outcome import Key


def nearest_lines(explanation: Explanation) -> Iterator[str]:
    """Yield what came closest, and by how much it missed."""
    match explanation.rule.detection, explanation.why.nearest:
        case ThresholdDetection() as detection, ThresholdMiss() as miss:
            span = f"{time_text(miss.window[0])} to {time_text(miss.window[1])}"
            who = _who(miss.key, miss.groups)
            yield f"{who}: {measured_words(detection, miss.measured)}, from {span}"
        case SequenceDetection() as detection, SequenceMiss() as miss:
            yield from _sequence(detection, miss)
        case AbsenceDetection() as detection, AbsenceMiss() as miss:
            yield from _absence(detection, miss)
        case PeriodicDetection() as detection, PeriodicMiss() as miss:
            yield from _periodic(detection, miss)
        case _:
            yield "no row passed every condition"


def key_words(key: Key) -> str:
    """Return the values of a group with their columns."""
    return ", ".join(
        f"{name} {'unknown' if value is None else printable(shown(value))}"
        for name, value in key.items()
    )


def _who(key: Key, groups: int) -> str:
    """Return which group it is, and of how many."""
    if not key:
        return "the host"
    return key_words(key) if groups == 1 else f"of {groups:,} groups {key_words(key)}"


def _sequence(detection: SequenceDetection, miss: SequenceMiss) -> Iterator[str]:
    keys = ", ".join(detection.match_on)
    yield (
        f"{counted(miss.firsts, 'first row')}, {counted(miss.thens, 'then row')}, "
        f"{miss.keyed:,} of these with the {keys} of a first row"
    )
    if miss.null_keys:
        yield f"{counted(miss.null_keys, 'row')} without {keys}, which proves nothing"
    if miss.too_late_us is not None:
        yield f"the closest pair is {measured_words(detection, miss.too_late_us)}"
    if miss.too_early_us:
        yield f"in the wrong order, the closest are {exact_duration(miss.too_early_us)} apart"
    elif miss.too_early_us == 0:
        yield "a first and a then row came at one moment; then must be later"


def _absence(detection: AbsenceDetection, miss: AbsenceMiss) -> Iterator[str]:
    keys = ", ".join(detection.match_on)
    rows = counted(miss.selected, "row")
    yield f"of {rows}, {miss.matched:,} had the {keys} of an unless row"
    if miss.null_keys:
        yield f"{counted(miss.null_keys, 'row')} without {keys}, which proves nothing"
    if miss.unmatched:
        yield (
            f"{counted(miss.unmatched, 'row')} without a match, which would be findings if "
            f"{percent(detection.min_coverage)} of the run had been watched without loss"
        )


def _periodic(detection: PeriodicDetection, miss: PeriodicMiss) -> Iterator[str]:
    pace = miss.pace
    times = counted(pace.times, "distinct time")
    yield f"{_who(miss.key, miss.groups)}: {times}, {detection.at_least} are needed"
    if pace.median_us is None:
        return
    shortest, longest = detection.every.min_us, detection.every.max_us
    wanted = f"{format_duration(shortest)} to {format_duration(longest)}"
    yield f"median gap {exact_duration(pace.median_us)}, wanted is {wanted}"
    gaps = counted(pace.times - 1, "gap")
    jitter = f"{detection.jitter * 100:g} %"
    yield f"{pace.steady:,} of {gaps} within {jitter} of it, 9 of 10 are needed"
