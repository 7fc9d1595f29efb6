"""The occasion of a report: what its cover says, and what became of findings since.

In: plain values of whoever asks for a report. Out: one ``Occasion``, which goes with the dossier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from analyzer.words import printable, span, time_text

Kind = Literal["findings", "full"]
"""``full`` also says, of every rule that was checked, what it came to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """Something that was left out of a run."""

    title: str
    description: str
    recommendation: str
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """What is new, and how much is gone, against an earlier run."""

    against: str
    """The earlier run, in words."""
    new: frozenset[str]
    """Issue ids."""
    resolved: Mapping[str, int]
    """By severity."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the cover."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What a report says beyond the result that it is of; what is empty is left out."""

    kind: Kind = "full"
    template: str = ""
    target: str = ""
    selector: str = ""
    """How the target chooses hosts, in words."""
    duration_s: int | None = None
    """How long the run was to last."""
    started_us: int | None = None
    ended_us: int | None = None
    generated_us: int | None = None
    excluded: tuple[Excluded, ...] = ()
    accepted: Mapping[str, str] = field(default_factory=dict)
    """Issue id → who accepted the risk, why and until when."""
    trend: Trend | None = None
    remarks: tuple[str, ...] = ()
    """What else somebody should look at, in sentences."""

    @property
    def title(self) -> str:
        """Return what the report is called."""
        return "Findings report" if self.kind == "findings" else "Full report"

    def facts(self) -> tuple[Fact, ...]:
        """Return the lines of the cover."""
        wanted = "" if self.duration_s is None else span(self.duration_s)
        lines = (
            ("Assessment template", self.template),
            ("Assessment target", self.target),
            ("Hosts chosen by", self.selector),
            ("Duration", wanted),
            ("Started", _moment(self.started_us)),
            ("Ended", _moment(self.ended_us)),
            ("Report made", _moment(self.generated_us)),
            ("Compared with", self.trend.against if self.trend else ""),
        )
        return tuple(Fact(name, printable(text)) for name, text in lines if text)


def _moment(ts_us: int | None) -> str:
    return "" if ts_us is None else f"{time_text(ts_us).split('.')[0]} UTC"
