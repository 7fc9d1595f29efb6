import msgspec
import pytest

from analyzer.reports import document
from analyzer.reports.dossier import dossier_of
from analyzer.reports.occasion import Excluded, Occasion, Trend
from analyzer.reports.pdf import to_pdf
from analyzer.results.document import Result
from tests.pdf_pages import pdf_date, pdf_text
from tests.recordings import judged, lines_of, packages
from tests.report_results import one_finding, packages_of

HOSTILE = '#panic("x") #import "@preview/x:1.0.0" $x^2$ *b* <l> @ref \\u{41} // end'


def told(result: Result, occasion: Occasion | None = None) -> str:
    return pdf_text(to_pdf(dossier_of(result, packages_of(), version="1"), occasion))


def test_golden_recording_in_words() -> None:
    text = pdf_text(document("pdf", judged(lines_of()), packages()))
    for part in (
        "3 findings: 1 High, 1 Medium, 1 Informational, on 2 of 2 hosts.",
        "4 of 6 checks (rule and host) could be evaluated.",
        "What to do. Use SSH.",
        "telnet connected to 10.0.9.8 port 23",
        "First window above 2025-11-24 03:34:42.000",
        "Rules that were checked",
        "Page 1 of",
    ):
        assert part in text


def test_what_hosts_say_is_text() -> None:
    row = {"telemetry": "listener", "ts_us": 1, "agent_id": "h", "process_name": HOSTILE}
    result = one_finding(title=HOSTILE, group={"process_name": HOSTILE}, evidence=(row,))
    run = msgspec.structs.replace(result.run, name=HOSTILE)
    host = msgspec.structs.replace(result.hosts[0], hostname=HOSTILE)
    text = told(msgspec.structs.replace(result, run=run, hosts=(host,)))
    assert text.count('#panic("x")') >= 5
    assert text.count("$x^2$ *b* <l> @ref") >= 5


def test_occasion_stands_on_the_cover_and_beside_its_findings() -> None:
    excluded = Excluded(
        title="Silent", description="It was.", recommendation="Start it.", hosts=("h-web",)
    )
    result = one_finding()
    occasion = Occasion(
        kind="findings",
        template="nightly",
        generated_us=1_000_000,
        excluded=(excluded,),
        trend=Trend(against="run 0-old", new=frozenset({"4567"}), resolved={"High": 4}),
        remarks=("1 suppression has *expired*.",),
    )
    text = told(result, occasion)
    for part in (
        "Findings report",
        "nightly",
        "run 0-old",
        "Silent. It was.",
        "h-web",
        "New",
        "has *expired*.",
    ):
        assert part in text
    assert "Rules that were checked" not in text


def test_nothing_found_and_nothing_known_are_told() -> None:
    empty = msgspec.structs.replace(one_finding(), findings=(), outcomes=(), hosts=())
    text = told(empty)
    assert "No findings." in text
    assert "No host took part." in text
    assert text.count("No rule was checked.") == 2
    gone = told(one_finding(rule="gone", package="old"))
    assert "Of no package that is known" in gone
    assert "What to do." not in gone


def test_words_longer_than_a_line_are_broken() -> None:
    name = "x" * 400
    assert name in told(one_finding(title=name)).replace(" ", "")


@pytest.mark.parametrize(
    ("to_us", "date"),
    [(300_000_000, "D:19700101000500Z"), (-5, "D:19700101000000Z"), (2**63 - 1, "D:9999")],
)
def test_date_is_the_end_of_the_run(to_us: int, date: str) -> None:
    result = one_finding()
    run = msgspec.structs.replace(result.run, from_us=min(0, to_us), to_us=to_us)
    data = document("pdf", msgspec.structs.replace(result, run=run), packages_of())
    assert pdf_date(data).startswith(date)


def test_equal_results_make_equal_bytes() -> None:
    assert document("pdf", one_finding(), packages_of()) == document(
        "pdf", one_finding(), packages_of()
    )
