from analyzer.reports import document
from tests.recordings import judged, lines_of, packages
from tests.report_results import one_finding, packages_of


def test_golden_lines() -> None:
    text = document("csv", judged(lines_of()), packages()).decode()
    header, first, *_ = text.split("\r\n")
    assert header.startswith("severity,numeric_severity,rule,rule_version,package,title,finding,")
    assert first == (
        "High,9,metadata-burst,1,rules,Process that keeps asking the metadata service,"
        "app sent 3 requests between 2025-11-24 03:35:41 UTC and 2025-11-24 03:35:42 UTC,"
        "i-db,,process_name=app,3,2025-11-24T03:35:41.000000Z,2025-11-24T03:35:42.000000Z,"
        "2025-11-24T03:34:42.000000Z,2025-11-24T03:35:42.000000Z,1,3,2,1,1,0,"
        "60272def7ec8cb21bf6e875e587232cf,cdad9f996fd7005d2bf567c0a4777eb0,"
        "2234ad7fe7f6d71b693d73f5fe662dfe"
    )


def test_formulas_are_disarmed_and_numbers_stay() -> None:
    for title in ("=1+1", "+1", "-1", "@SUM(A1)"):
        text = document("csv", one_finding(title=title, margin=-5), packages_of()).decode()
        assert f",'{title}," in text
        assert ",-5," in text


def test_text_with_quotes_commas_and_line_ends_is_one_line() -> None:
    text = document("csv", one_finding(title='a "b", c\r\nd'), packages_of()).decode()
    assert ',"a ""b"", c\\r\\nd",' in text
    assert text.count("\n") == 2


def test_null_true_and_numbers_in_a_group() -> None:
    result = one_finding(group={"process_name": None, "nx": True, "local_port": 80})
    assert ",process_name=null; nx=true; local_port=80," in document("csv", result, []).decode()


def test_times_beyond_the_calendar_are_its_ends() -> None:
    result = one_finding(first_seen_us=-(2**63), last_seen_us=2**63 - 1)
    text = document("csv", result, []).decode()
    assert ",0001-01-01T00:00:00.000000Z,9999-12-31T23:59:59.999999Z," in text
