from rules.outcome import Group, Key, make_group
from rules.summary import has_stray_brace, placeholders, summary_of
from tests.rule_documents import EVENT, changed, rule

ROW = {"telemetry": "connection", "ts_us": 1_700_000_000_123_456, "agent_id": "i-1"}


def test_placeholders_are_the_names_in_braces() -> None:
    assert placeholders("{a} and {b.c} and {}") == ["a", "b.c", ""]
    assert not has_stray_brace("{a} and {b}")
    assert has_stray_brace("{a")
    assert has_stray_brace("a}")
    assert has_stray_brace("{{a}}")


def test_summary_has_the_values_of_the_finding() -> None:
    read = rule(
        changed(EVENT, group_by=["process_name", "remote_port", "uid"]),
        summary="{process_name} used port {remote_port} as {uid}, {count} times, {first_seen} to "
        "{last_seen}",
    )
    group = make_group({"process_name": "nc", "remote_port": 23, "uid": None}, [ROW])

    assert summary_of(read, group) == (
        "nc used port 23 as unknown, 1 times, 2023-11-14 22:13:20 UTC to 2023-11-14 22:13:20 UTC"
    )


def test_boolean_and_unknown_names_are_words() -> None:
    read = rule(summary="{process_name} {cert_self_signed} {__class__}")
    key: Key = {"process_name": "{count}", "cert_self_signed": True}

    assert summary_of(read, make_group(key, [ROW])) == "{count} true unknown"
    key = {"process_name": "a", "cert_self_signed": False}
    assert summary_of(read, make_group(key, [ROW])) == "a false unknown"


def test_time_outside_of_the_calendar_is_a_number() -> None:
    group = make_group({}, [{**ROW, "ts_us": 2**63 - 1}])

    assert summary_of(rule(summary="{first_seen}"), group) == f"{2**63 - 1} µs"


def test_closing_group_says_how_many_more() -> None:
    assert summary_of(rule(), Group({}, 20, 1, 2, (), 20, (1, 2))) == (
        "20 more findings of this rule on this host"
    )
