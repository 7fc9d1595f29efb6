"""The formats of results, and which function writes each.

In: the name of a format, a result, its rules packages. Out: the bytes of the document.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from analyzer.results.document import Result, to_json, to_ndjson

if TYPE_CHECKING:
    from analyzer.reports.aws_account import AwsAccount
    from rules.loader import Package

Document = Literal["json", "ndjson", "csv", "sarif", "ocsf", "asff", "html", "pdf"]
Format = Literal["table", Document]
"""What ``-o`` takes wherever a result is written: a table for people, or a document."""


def document(
    form: Document,
    result: Result,
    packages: Iterable[Package],
    *,
    aws: AwsAccount | None = None,
) -> bytes:
    """Return a result as a document.

    Args:
        form: Its format.
        result: Of any run.
        packages: Those it was judged by, for the texts.
        aws: Whose findings they are, in formats of AWS.
    """
    if form == "json":
        return to_json(result)
    if form == "ndjson":
        return to_ndjson(result)
    from analyzer.reports.dossier import dossier_of

    dossier = dossier_of(result, packages, aws=aws)
    match form:
        case "csv":
            from analyzer.reports.csv import to_csv as write
        case "sarif":
            from analyzer.reports.sarif import to_sarif as write
        case "ocsf":
            from analyzer.reports.ocsf import to_ocsf as write
        case "asff":
            from analyzer.reports.asff import to_asff as write
        case "html":
            from analyzer.reports.html import to_html as write
        case "pdf":
            from analyzer.reports.pdf import to_pdf as write
    return write(dossier)
