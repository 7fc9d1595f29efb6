import base64
import hashlib
import re

import msgspec
import pytest

from analyzer.reports import document, problems
from analyzer.reports.dossier import dossier_of
from analyzer.reports.html import to_html
from analyzer.reports.occasion import Excluded, Occasion, Trend
from analyzer.reports.problems import is_web_address
from analyzer.results.document import OutcomeResult, Result
from tests.judging import package, rule
from tests.recordings import judged, lines_of, packages
from tests.report_pages import Read, read_page
from tests.report_results import one_finding, packages_of

HOSTILE = "<script>alert(1)</script>\" onload='x' <img src=//evil.test>"


def page(result: Result) -> Read:
    return read_page(document("html", result, packages_of()))


def told(result: Result, occasion: Occasion) -> str:
    return read_page(to_html(dossier_of(result, packages_of()), occasion)).text


def test_golden_recording_in_words() -> None:
    text = read_page(document("html", judged(lines_of()), packages())).text
    for part in (
        "3 findings: 1 High, 1 Medium, 1 Informational, on 2 of 2 hosts. Start with “Process that",
        "2 hosts, 4 of 6 checks (rule and host) evaluated, 11 events, coverage 83.3 %.",
        "2025-11-24 03:35:00 to 2025-11-24 03:36:00 UTC (1 minute)",
        "rules 1 1 0 1 3 rules: 3 All packages 1 1 0 1 3",
        "imds_request was not collected on this host: 4 events lost (enobufs) metadata-burst i-web",
        "What to do. Use SSH.",
        "telnet connected to 10.0.9.8 port 23",
        "First window above 2025-11-24 03:34:42.000 to 2025-11-24 03:35:42.000: 3 rows, 1 above",
        "the limit of 2; 100 % watched",
        "Telnet connection to another host telnet-client MMedium findings 100 % 1 1 0 1 with",
    ):
        assert part in text


def test_nothing_is_asked_of_another_place_and_nothing_runs() -> None:
    data = document("html", judged(lines_of()), packages())
    read = read_page(data)
    assert not read.names & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert not [name for _, name, _ in read.attributes if name in {"src", "style", "srcset"}]
    assert not [name for _, name, _ in read.attributes if name.startswith("on")]
    assert "url(" not in data.decode()
    assert "@import" not in data.decode()


def test_policy_allows_the_page_its_own_style_alone() -> None:
    text = document("html", one_finding(), packages_of()).decode()
    found = re.search(r"<style>(.*)</style>", text, re.DOTALL)
    assert found is not None
    digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in text


def test_what_hosts_say_is_text() -> None:
    row = {"telemetry": "listener", "ts_us": 1, "agent_id": "h", "process_name": HOSTILE}
    result = one_finding(
        title=HOSTILE, agent_id=HOSTILE, group={"process_name": HOSTILE}, evidence=(row,)
    )
    run = msgspec.structs.replace(result.run, name=HOSTILE)
    host = msgspec.structs.replace(result.hosts[0], hostname=HOSTILE)
    read = page(msgspec.structs.replace(result, run=run, hosts=(host,)))
    assert not read.names & {"script", "img"}
    assert not [name for _, name, _ in read.attributes if name.startswith("on")]
    assert read.text.count("<script>alert(1)</script>") >= 6


def test_histogram_is_drawn_where_rows_came_at_several_times() -> None:
    read = page(one_finding())
    heights = [
        int(value or 0) for tag, name, value in read.attributes if (tag, name) == ("rect", "height")
    ]
    assert [height for height in heights if height != 12] == [1, 24, 24]
    assert "rows per 1m from 1970-01-01 00:01:00: 1, 0, 0, 1" in read.text
    one = msgspec.structs.replace(one_finding().findings[0].buckets, counts=((0, 9),))
    once = page(one_finding(buckets=one))
    assert ("rect", "class", "base") not in once.attributes


def test_window_is_told_where_it_says_more_than_the_times() -> None:
    assert "watched;" not in page(one_finding()).text
    assert "; 100 % watched" not in page(one_finding()).text
    window = msgspec.structs.replace(one_finding().findings[0].window, coverage=0.5)
    assert "Seen 1970-01-01 00:01:00.000" in page(one_finding(window=window)).text


def test_closing_finding_counts_groups() -> None:
    read = page(one_finding(evidence=(), group={}, count=7, and_more=7))
    assert "7 more findings of this rule on this host" in read.text
    assert "details" not in read.names


def test_nothing_found_says_what_was_looked_at() -> None:
    result = one_finding()
    outcome = OutcomeResult(
        rule="insecure-client-login",
        agent_id="h-db",
        outcome="clean",
        reason=None,
        coverage=1,
        findings=0,
    )
    clean = msgspec.structs.replace(result, findings=(), outcomes=(outcome,))
    read = page(clean)
    assert "No findings. 1 host, 1 of 1 rule evaluated, 2 events, coverage 100 %." in read.text
    assert "Everything in this run could be evaluated: 1 of 1 check" in read.text
    assert ("p", "class", "lead amber") not in read.attributes
    host = msgspec.structs.replace(result.hosts[0], coverage=0.5)
    amber = page(msgspec.structs.replace(clean, hosts=(host,)))
    assert ("p", "class", "lead amber") in amber.attributes


def test_run_without_hosts_and_rules() -> None:
    empty = msgspec.structs.replace(one_finding(), findings=(), outcomes=(), hosts=())
    text = page(empty).text
    assert "No host took part." in text
    assert "No rule was checked." in text


def test_rule_that_is_gone_is_told_by_its_title() -> None:
    text = page(one_finding(rule="gone", package="old")).text
    assert "Telnet was used gone" in text
    assert "What to do." not in text
    assert "Of no package that is known" in text


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.test", "x"])
def test_references_that_are_no_web_address_are_no_links(url: str) -> None:
    assert not is_web_address(url)
    made = rule("gone", references=[{"title": "Read", "url": url}])
    read = read_page(document("html", one_finding(rule="gone"), [package(made)]))
    assert ("a", "href", url) not in read.attributes
    assert f"Read ({url})" in read.text


def test_occasion_stands_on_the_cover_and_beside_its_findings() -> None:
    excluded = Excluded(title="Silent", description="It was.", recommendation="Start it.")
    result = one_finding()
    issue = result.findings[0].issue_id
    occasion = Occasion(
        kind="findings",
        template="<b>nightly</b>",
        duration_s=900,
        started_us=60_000_000,
        generated_us=120_000_000,
        excluded=(excluded,),
        trend=Trend(against="run 0-old", new=frozenset({issue}), resolved={"High": 4}),
    )
    text = told(result, occasion)
    for part in (
        "Findings report",
        "Assessment template <b>nightly</b> Duration 15 minutes Started 1970-01-01 00:01:00 UTC",
        "Report made 1970-01-01 00:02:00 UTC Compared with run 0-old",
        "HHigh 0 4 MMedium 1 0",
        "Silent. It was.",
        "Start it.",
        "Telnet was used New",
    ):
        assert part in text
    assert "Ended" not in text
    assert "Rules that were checked" not in text
    assert "Rules that were checked" in told(result, Occasion())


def test_accepted_risks_are_told_and_counted() -> None:
    result = one_finding()
    issue = result.findings[0].issue_id
    occasion = Occasion(accepted={issue: "by Kim until May"}, remarks=("1 has <expired>.",))
    text = told(result, occasion)
    assert "1 has <expired>." in text
    assert "1 of them of an accepted risk." in text
    assert "Telnet was used Accepted: by Kim until May" in text


def test_rule_with_many_findings_tells_the_first_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "MAX_HITS", 4)
    result = one_finding()
    many = msgspec.structs.replace(result, findings=result.findings * 6)
    read = page(many)
    assert "2 more findings of this rule; the CSV export lists every one." in read.text
    assert read.text.count("10.0.9.8:23") == 4


def test_many_rules_share_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "MAX_HITS_IN_ALL", 10)
    result = one_finding()
    found = [
        msgspec.structs.replace(result.findings[0], rule=f"rule-{number}") for number in range(5)
    ]
    many = msgspec.structs.replace(
        result, findings=tuple(finding for finding in found for _ in range(3))
    )
    read = page(many)
    assert read.text.count("1 more finding of this rule") == 5
    assert read.text.count("10.0.9.8:23") == 10


def test_equal_results_make_equal_pages() -> None:
    assert document("html", one_finding(), packages_of()) == document(
        "html", one_finding(), packages_of()
    )
