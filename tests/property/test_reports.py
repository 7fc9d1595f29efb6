"""Any result, however odd, gives documents that those who published the formats accept."""

import csv
import json
from io import StringIO

from hypothesis import given, settings

from analyzer.reports import document
from analyzer.reports.csv import COLUMNS, FORMULA_STARTS
from analyzer.results.document import Result
from tests.report_pages import read_page
from tests.report_results import PACKAGES, results
from tests.report_schemas import asff_problems, asff_strings, ocsf, sarif

NUMBERS = {"numeric_severity", "count", "measured", "limit", "margin", "and_more", "rule_version"}
fewer = settings(max_examples=settings().max_examples // 4)  # a result is large to make


@fewer
@given(results())
def test_csv_has_one_safe_line_per_finding(result: Result) -> None:
    text = document("csv", result, PACKAGES).decode()
    assert text.count("\r\n") == text.count("\n") == len(result.findings) + 1
    lines = list(csv.DictReader(StringIO(text, newline="")))
    made = [line["issue_id"].removeprefix("'") for line in lines]
    assert made == [item.issue_id for item in result.findings]
    assert {len(line) for line in lines} <= {len(COLUMNS)}
    cells = {cell for line in lines for name, cell in line.items() if name not in NUMBERS}
    assert not [cell for cell in cells if cell.startswith(FORMULA_STARTS)]


@fewer
@given(results())
def test_ocsf_is_the_published_class(result: Result) -> None:
    lines = document("ocsf", result, PACKAGES).splitlines()
    assert len(lines) == len(result.findings)
    for line in lines:
        ocsf().validate(json.loads(line))


@fewer
@given(results())
def test_asff_is_what_security_hub_takes(result: Result) -> None:
    lines = document("asff", result, PACKAGES).splitlines()
    batches = [json.loads(line) for line in lines]
    assert sum(len(batch["Findings"]) for batch in batches) == len(result.findings)
    for batch in batches:
        assert asff_problems(batch) == ""
        assert all(text.strip() for text in asff_strings(batch))
        for finding in batch["Findings"]:
            assert len(finding["Title"]) <= 256
            assert len(finding["Description"]) <= 1024
            assert len(finding["ProductFields"]) <= 50


@fewer
@given(results())
def test_sarif_is_the_published_schema(result: Result) -> None:
    log = json.loads(document("sarif", result, PACKAGES))
    sarif().validate(log)
    run = log["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [rules[item["ruleIndex"]] for item in run["results"]] == [
        item["ruleId"] for item in run["results"]
    ]


@fewer
@given(results())
def test_page_is_closed_and_holds_no_script(result: Result) -> None:
    read = read_page(document("html", result, PACKAGES))
    assert not read.names & {"script", "img", "iframe", "link"}
    assert {name for tag, name, _ in read.attributes if tag == "a"} <= {"href", "rel"}


@settings(max_examples=fewer.max_examples // 4)  # setting type takes its time
@given(results())
def test_pdf_is_set_whatever_the_texts_are(result: Result) -> None:
    assert document("pdf", result, PACKAGES).startswith(b"%PDF-")
