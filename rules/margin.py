"""Margin: by how much a rule fires, or misses.

In: a detection and what was measured. Out: the limit it is held against, the distance to it, and
both in words.
"""

from __future__ import annotations

from rules.detection import Detection, SequenceDetection, ThresholdDetection
from rules.durations import exact_duration


def limit_of(detection: Detection) -> int | None:
    """Return what ``measured`` is held against, or None of kinds that know no such number.

    A threshold fires above it; a sequence fires up to it, in microseconds.
    """
    match detection:
        case ThresholdDetection():
            return detection.gt
        case SequenceDetection():
            return detection.within_us
    return None


def margin_of(detection: Detection, measured: int | None) -> int | None:
    """Return how far ``measured`` is on the side that fires; None where nothing is measured.

    A threshold fires with a margin above 0, a sequence with one of 0 or more.
    """
    limit = limit_of(detection)
    if limit is None or measured is None:
        return None
    return measured - limit if isinstance(detection, ThresholdDetection) else limit - measured


def measured_words(detection: Detection, measured: int) -> str:
    """Return what was measured, and by how much it fires or misses."""
    match detection:
        case ThresholdDetection():
            margin = measured - detection.gt
            beyond = f"{margin:,} above" if margin > 0 else f"{-margin:,} below" if margin else "at"
            return f"{_amount(detection, measured)}, {beyond} the limit of {detection.gt:,}"
        case SequenceDetection():
            margin = detection.within_us - measured
            beyond = f"{exact_duration(abs(margin))} {'less' if margin >= 0 else 'more'} than"
            limit = exact_duration(detection.within_us)
            return f"{exact_duration(measured)} apart, {beyond} the longest time of {limit}"
    return f"median gap {exact_duration(measured)}"


def _amount(detection: ThresholdDetection, measured: int) -> str:
    if detection.distinct is not None:
        return f"{detection.distinct.column} has {_counted(measured, 'value')}"
    if detection.sum is not None:
        return f"{detection.sum.column} adds up to {measured:,}"
    return _counted(measured, "row")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
