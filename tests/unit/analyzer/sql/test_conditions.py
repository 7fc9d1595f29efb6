from analyzer.sql.conditions import where
from rules.selector import parse_selector
from tests.rule_documents import Plain


def lines_of(plain: Plain, *not_null: str) -> list[str]:
    return where(parse_selector({"telemetry": "connection", **plain}), not_null=not_null)


def test_selector_without_conditions_needs_no_clause() -> None:
    assert lines_of({}) == []


def test_every_operator() -> None:
    predicates: Plain = {
        "pid": {"lt": 4, "le": 3, "gt": 1, "ge": 2, "ne": 7, "is_null": False},
        "local_port": {"in": [80, 443], "not_in": [81]},
        "process_name": {"starts_with": "py", "ends_with": "3", "eq": "python3"},
        "user": {"is_null": True},
    }

    assert lines_of({"where": predicates}) == [
        "WHERE pid < 4",
        "  AND pid <= 3",
        "  AND pid > 1",
        "  AND pid >= 2",
        "  AND pid <> 7",
        "  AND pid IS NOT NULL",
        "  AND local_port IN (80, 443)",
        "  AND local_port NOT IN (81)",
        "  AND starts_with(process_name, 'py')",
        "  AND ends_with(process_name, '3')",
        "  AND process_name = 'python3'",
        "  AND user IS NULL",
    ]


def test_groups() -> None:
    plain = {
        "where": {"direction": "outbound"},
        "any_of": [{"remote_port": 23, "protocol": "tcp"}, {"app_protocol": "telnet"}],
        "none_of": [{"remote_scope": "loopback"}, {"pid": 1, "uid": 0}],
    }

    assert "\n".join(lines_of(plain)).splitlines() == [
        "WHERE direction = 'outbound'",
        "  AND (",
        "    (remote_port = 23 AND protocol = 'tcp')",
        "    OR (app_protocol = 'telnet')",
        "  )",
        "  AND (remote_scope = 'loopback') IS NOT TRUE",
        "  AND (pid = 1 AND uid = 0) IS NOT TRUE",
    ]


def test_group_that_is_too_long_has_a_line_per_condition() -> None:
    names = ["a" * 30, "b" * 30]
    plain = {"none_of": [{"process_name": {"in": names}, "user": {"in": names}}]}

    assert "\n".join(lines_of(plain)).splitlines() == [
        f"WHERE (process_name IN ('{names[0]}', '{names[1]}')",
        f"      AND user IN ('{names[0]}', '{names[1]}')) IS NOT TRUE",
    ]


def test_columns_that_must_be_there() -> None:
    assert lines_of({"where": {"pid": 1}}, "local_port") == [
        "WHERE pid = 1",
        "  AND local_port IS NOT NULL",
    ]
