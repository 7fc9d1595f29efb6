from rules.cases import CaseEvent, parse_event


def test_event_is_a_row_with_derived_columns() -> None:
    event = parse_event(
        {"at": "2s", "telemetry": "connection", "remote_address": "127.0.0.1", "remote_port": 23}
    )

    assert list(event.rows()) == [
        {
            "telemetry": "connection",
            "ts_us": 2_000_000,
            "agent_id": "i-test",
            "remote_address": "127.0.0.1",
            "remote_scope": "loopback",
            "remote_port": 23,
        }
    ]


def test_repeated_event_is_several_rows() -> None:
    event = parse_event(
        {"at": "1s", "telemetry": "listener", "agent_id": "i-2", "repeat": 3, "every": "10s"}
    )

    assert [row["ts_us"] for row in event.rows()] == [1_000_000, 11_000_000, 21_000_000]
    assert {row["agent_id"] for row in event.rows()} == {"i-2"}


def test_repeat_without_every_is_the_same_moment() -> None:
    event = parse_event({"at": "1s", "telemetry": "listener", "repeat": 2})

    assert [row["ts_us"] for row in event.rows()] == [1_000_000] * 2


def test_null_column_is_left_out() -> None:
    event = parse_event({"at": "1s", "telemetry": "connection", "process_name": None})

    assert event == CaseEvent("connection", 1_000_000, {})


def test_values_are_spelled_as_telemetry_spells_them() -> None:
    event = parse_event(
        {
            "at": "1s",
            "telemetry": "tls_session",
            "server_name": "WWW.Example",
            "remote_address": "::ffff:10.0.0.1",
        }
    )

    assert event.values == {"server_name": "www.example", "remote_address": "10.0.0.1"}
