"""Telemetry: what can be observed, and the form in which it travels and is written down.

The contract between agent and analyzer. ``kinds`` declares every column once; everything else here
is made from it.
"""

from __future__ import annotations

from rules.errors import WireError
from rules.telemetry.batch import (
    Batch,
    Coverage,
    Event,
    Header,
    Loss,
    Process,
    Row,
    Table,
    Vector,
)
from rules.telemetry.batch_builder import BatchBuilder
from rules.telemetry.clock import Clock, ManualClock, SystemClock
from rules.telemetry.kinds import KINDS, Column, ColumnType, Kind

__all__ = [
    "KINDS",
    "Batch",
    "BatchBuilder",
    "Clock",
    "Column",
    "ColumnType",
    "Coverage",
    "Event",
    "Header",
    "Kind",
    "Loss",
    "ManualClock",
    "Process",
    "Row",
    "SystemClock",
    "Table",
    "Vector",
    "WireError",
]
