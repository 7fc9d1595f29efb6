"""Recordings: files of events as text, read into columns whatever their size.

In: a path. Out: ``Recorded``. The lines are what ``rules.telemetry.recording`` reads, and every
line that is not plain is read by it.
"""

from analyzer.recording.reader import Recorded, parse_recorded, read_recorded

__all__ = ["Recorded", "parse_recorded", "read_recorded"]
