"""The text of a statement; what it finds is shown by tests/property/test_sql.py."""

from textwrap import dedent

from analyzer.sql import compile_rule
from rules.format import Rule
from rules.loader import load_packages
from tests.duck import connection, load
from tests.rule_documents import ABSENCE, EVENT, PERIODIC, SEQUENCE, THRESHOLD, changed, rule


def shipped(rule_id: str) -> Rule:
    return next(rule for package in load_packages() for rule in package.rules if rule.id == rule_id)


def test_threshold_reads_from_its_selection_to_its_groups() -> None:
    expected = """\
        -- imdsv1-burst: Process that keeps using IMDSv1
        WITH selected AS (
          SELECT agent_id, process_name, ts_us
          FROM imds_request
          WHERE imds_version = 1
        ),
        measured AS (
          -- what the window of 5m holds that ends with this row, without its first moment
          SELECT *, count(*) OVER (
            PARTITION BY agent_id, process_name ORDER BY ts_us::HUGEINT
            RANGE BETWEEN 299999999 PRECEDING AND CURRENT ROW
          ) AS held
          FROM selected
        ),
        marked AS (
          -- a row is inside each window that ends with it or soon after it
          SELECT *, held > 20 AS crosses, bool_or(held > 20) OVER (
            PARTITION BY agent_id, process_name ORDER BY ts_us::HUGEINT
            RANGE BETWEEN CURRENT ROW AND 299999999 FOLLOWING
          ) AS inside
          FROM measured
        )
        SELECT
          agent_id,
          process_name,
          count(*) AS count,
          min(ts_us) AS first_seen_us,
          max(ts_us) AS last_seen_us,
          min(ts_us::HUGEINT) FILTER (crosses) - 300000000 AS window_from_us,
          min(ts_us) FILTER (crosses) AS window_to_us,
          arg_min(held, ts_us) FILTER (crosses) AS measured
        FROM marked
        WHERE inside
        GROUP BY agent_id, process_name
        ORDER BY agent_id, first_seen_us, process_name;"""

    assert compile_rule(shipped("imdsv1-burst")) == dedent(expected)


def test_absence_reads_two_files() -> None:
    statement = compile_rule(shipped("unused-listening-tcp-port"), folder="telemetry")

    assert "FROM read_parquet('telemetry/listener.parquet')\n" in statement
    assert "FROM read_parquet('telemetry/connection.parquet')\n" in statement
    assert "WHERE NOT EXISTS (" in statement


def test_sequence_looks_for_the_closest_row_before() -> None:
    statement = compile_rule(rule(SEQUENCE))

    assert "FROM thens ASOF JOIN firsts\n" in statement
    assert "WHERE gap_us <= 10000000\n" in statement


def test_periodic_counts_in_whole_millionths() -> None:
    statement = compile_rule(rule(changed(PERIODIC, jitter=0.333333)))

    assert "abs(gap_us - median_us) * 1000000 <= median_us * 333333\n" in statement
    assert "." not in statement


def test_title_cannot_leave_its_comment() -> None:
    first, second, *_ = compile_rule(rule(title="a\n; b")).splitlines()

    assert first == "-- some-rule: a ; b"
    assert second == "WITH selected AS ("


def test_every_kind_returns_the_same_columns() -> None:
    load([])
    for detection in (EVENT, THRESHOLD, ABSENCE, SEQUENCE, PERIODIC):
        compiled = rule(detection)
        described = connection().execute(compile_rule(compiled)).description
        assert [column[0] for column in described or ()] == [
            "agent_id",
            *compiled.group_by,
            "count",
            "first_seen_us",
            "last_seen_us",
            "window_from_us",
            "window_to_us",
            "measured",
        ]
