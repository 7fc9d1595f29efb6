"""Material: what a report is made from, and the making of it.

In: a result, its packages, the occasion. Out: the bytes of a page or of sheets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from analyzer.reports.dossier import dossier_of
from analyzer.reports.occasion import Occasion
from analyzer.results.document import Result
from rules.loader import Package

Form = Literal["html", "pdf"]


@dataclass(frozen=True, slots=True)
class Material:
    """What a report is made from."""

    result: Result
    packages: tuple[Package, ...]
    occasion: Occasion


def make_report(form: Form, material: Material) -> bytes:
    """Return a report. Blocks for up to some seconds.

    Raises:
        AnalyzerError: It cannot be made.
    """
    dossier = dossier_of(material.result, material.packages)
    if form == "html":
        from analyzer.reports.html import to_html as write
    else:
        from analyzer.reports.pdf import to_pdf as write
    return write(dossier, material.occasion)
