import pytest

from analyzer.sql.words import RESERVED, comment, literal, literals, names, table
from rules.columns import Value
from rules.telemetry.kinds import INT64_MIN, KINDS
from tests.duck import connection, load


def test_words_that_sql_reserves_are_quoted() -> None:
    found = connection().execute(
        "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'"
    )
    reserved = {name for (name,) in found.fetchall()}
    columns = {name for kind in KINDS.values() for name in kind.columns}

    assert (KINDS.keys() | columns) & reserved == RESERVED


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "TRUE"),
        (False, "FALSE"),
        (-7, "-7"),
        ("curl", "'curl'"),
        ("it's", "'it''s'"),
        ("", "('')"),
        ("a\n\0b", "('a' || chr(10) || chr(0) || 'b')"),
    ],
)
def test_literal(value: Value, text: str) -> None:
    assert literal(value) == text


@pytest.mark.parametrize(
    "value",
    ["", "'", "''; DROP TABLE x; --", "\\n", "a\nb", "\0", "$$", "?", "é\u0301\u00a0", INT64_MIN],
)
def test_literal_comes_back(value: Value) -> None:
    assert connection().execute(f"SELECT {literal(value)}").fetchall() == [(value,)]


def test_long_list_is_wrapped() -> None:
    text = literals([f"value {number}" for number in range(20)], indent="    ", offset=30)

    assert text.startswith("(\n      'value 0', 'value 1', ")
    assert text.endswith("'value 19'\n    )")
    assert max(map(len, text.splitlines())) <= 100


def test_table_is_a_view_or_a_file() -> None:
    assert table("listener") == "listener"
    assert table("group") == '"group"'
    assert table("listener", ".") == "read_parquet('listener.parquet')"
    assert table("listener", "/it's/") == "read_parquet('/it''s/listener.parquet')"
    assert table("listener", "/") == "read_parquet('/listener.parquet')"
    assert table("listener", "run[1]") == "read_parquet('run[[]1]/listener.parquet')"


def test_comment_is_one_line_whatever_it_holds() -> None:
    assert comment("Title\n; DROP\r\u2028TABLE  x") == "-- Title ; DROP TABLE x"


@pytest.mark.parametrize("kind", KINDS)
def test_every_column_is_read_by_its_name(kind: str) -> None:
    load([{"telemetry": kind, "ts_us": 1, "agent_id": "i-1", "user": "alice", "pid": 7}])
    columns = list(KINDS[kind].columns)

    done = connection().execute(f"FROM {table(kind)} SELECT {names(columns)}")

    assert [column[0] for column in done.description or ()] == columns
    assert dict(zip(columns, done.fetchall()[0], strict=True)) == {
        **dict.fromkeys(columns),
        "user": "alice",
        "pid": 7,
    }
