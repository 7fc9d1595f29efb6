"""PDF: a report on sheets of paper, set by Typst without a network.

In: a dossier and its occasion. Out: the bytes of a PDF; equal input on one machine, equal bytes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec
import typst

from analyzer.errors import AnalyzerError
from analyzer.reports.dossier import Dossier
from analyzer.reports.occasion import Occasion
from analyzer.reports.page import page_of

_TEMPLATE: Final = "report.typ"
_FONTS: Final = ("SourceSansPro-Regular.ttf", "SourceSansPro-Bold.ttf", "SourceSansPro-It.ttf")
_LAST_S: Final = 253_402_300_799  # the last second of the year 9999


def to_pdf(dossier: Dossier, occasion: Occasion | None = None) -> bytes:
    """Return the report of a result; without an occasion, all that can be said of it.

    Whatever hosts and rule files say reaches the template as strings in JSON, never as markup. Its
    date is that of the occasion, else the end of the run. Letters that its own fonts lack are taken
    from those of the machine.

    Raises:
        AnalyzerError: It cannot be set.
    """
    page = page_of(dossier, occasion)
    made_us = occasion.generated_us if occasion else None
    made_s = (dossier.result.run.to_us if made_us is None else made_us) // 1_000_000
    with _workshop() as folder:
        try:
            return typst.compile(
                folder / _TEMPLATE,
                font_paths=[folder],
                format="pdf",
                sys_inputs={"page": msgspec.json.encode(page).decode()},
                timestamp=min(max(made_s, 0), _LAST_S),
            )
        except typst.TypstError as error:
            raise AnalyzerError(f"the report cannot be made: {error.message}") from error


@contextmanager
def _workshop() -> Iterator[Path]:
    """Give a folder of the template and three fonts; the font's package has several of a name."""
    files = [resources.files("analyzer.reports") / _TEMPLATE]
    files += [resources.files("font_source_sans_pro") / "files" / font for font in _FONTS]
    with tempfile.TemporaryDirectory(prefix="proctor-report-") as name:
        folder = Path(name)
        for file in files:
            (folder / file.name).write_bytes(file.read_bytes())
        yield folder
