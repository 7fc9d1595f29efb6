"""Reports as a browser prints and shows them: a real Chromium, without a network."""

import subprocess
from pathlib import Path

import pypdfium2
import pytest

from analyzer.reports import document
from tests.pdf_pages import pdf_text
from tests.recordings import judged, lines_of, packages
from tests.services import find_program, missing_reason

OPTIONS = (
    "--headless",
    "--no-sandbox",  # CI runs as root, and the page has no script
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-pdf-header-footer",
)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_bytes(document("html", judged(lines_of()), packages()))
    return path


def chromium(page: Path, *options: str) -> None:
    program = find_program("chromium")
    if program is None:
        pytest.skip(missing_reason("chromium"))
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [str(program), *OPTIONS, profile, *options, page.as_uri()]
    subprocess.run(command, check=True, timeout=50, capture_output=True)


def test_printed_report_has_its_evidence(page: Path) -> None:
    out = page.with_suffix(".pdf")
    chromium(page, f"--print-to-pdf={out}")
    text = pdf_text(out.read_bytes())
    assert "3 findings: 1 High, 1 Medium, 1 Informational" in text
    assert "connection outbound" in text
    assert "Rules that were checked" in text


def test_style_is_taken_in_spite_of_the_policy(page: Path) -> None:
    out = page.with_suffix(".png")
    chromium(page, f"--screenshot={out}", "--window-size=800,1200", "--hide-scrollbars")
    assert out.read_bytes().startswith(b"\x89PNG")
    assert len(out.read_bytes()) > 50_000  # with text on it


def test_sheets_show_what_both_reports_say() -> None:
    data = document("pdf", judged(lines_of()), packages())
    sheets = pypdfium2.PdfDocument(data)
    try:
        pictures = [page.render(scale=0.5).to_numpy() for page in sheets]
    finally:
        sheets.close()
    assert all(picture.shape[:2] == (421, 298) for picture in pictures)
    assert all(picture.min() < 100 < picture.max() for picture in pictures)  # ink on paper
