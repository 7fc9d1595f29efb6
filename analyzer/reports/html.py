"""HTML: a report for people as one file that needs nothing else: no script, no request.

In: a dossier. Out: a page for screens, light and dark, and for paper.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Final

import jinja2

from analyzer.reports.charts import WIDTH
from analyzer.reports.dossier import Dossier
from analyzer.reports.occasion import Occasion
from analyzer.reports.page import page_of

_TEMPLATE: Final = "report.html.jinja"
_STYLE: Final = "report.css"


def to_html(dossier: Dossier, occasion: Occasion | None = None) -> bytes:
    """Return the report of a result; without an occasion, all that can be said of it.

    Whatever hosts and rule files say is escaped, and the page's own policy allows no script and
    no style but the one whose hash it names.
    """
    style = _read(_STYLE)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    text = _template().render(
        page=page_of(dossier, occasion),
        chart_width=WIDTH,
        style=style,
        style_hash=f"sha256-{digest}",
    )
    return text.encode()


@cache
def _read(name: str) -> str:
    return resources.files("analyzer.reports").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(_read(_TEMPLATE))
