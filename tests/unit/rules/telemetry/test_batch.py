import pytest

from rules.telemetry import BatchBuilder, Event, Process, Row
from rules.telemetry import batch_builder as batch_module
from rules.telemetry.batch import MAX_EVENTS
from rules.telemetry.event import MAX_TEXT_BYTES
from tests.messages import HEADER, NGINX


def rows_of(*events: Event) -> list[Row]:
    builder = BatchBuilder()
    for event in events:
        builder.add(event)
    return list(builder.build(HEADER).rows())


def test_rows_name_kind_time_agent_process_and_what_is_not_null() -> None:
    values = {"state": "exited", "argument_count": 0, "arguments": ""}
    assert rows_of(Event("process", 5, NGINX, values)) == [
        {
            "telemetry": "process",
            "ts_us": 5,
            "agent_id": "i-0abc",
            "pid": 812,
            "process_start_us": 1_000,
            "process_name": "nginx",
            "process_path": "/usr/sbin/nginx",
            "parent_pid": 1,
            "uid": 33,
            "user": "www-data",
            "state": "exited",
            "argument_count": 0,
            "arguments": "",
        }
    ]


def test_nulls_may_come_first_last_or_as_none() -> None:
    rows = rows_of(
        Event("process", 1, None, {}),
        Event("process", 2, None, {"argument_count": 7, "state": "started", "arguments": "a"}),
        Event("process", 3, None, {"argument_count": None, "state": None, "arguments": None}),
        Event("process", 4, None, {}),
    )
    assert [row.get("argument_count") for row in rows] == [None, 7, None, None]
    assert [row.get("state") for row in rows] == [None, "started", None, None]
    assert [row.get("arguments") for row in rows] == [None, "a", None, None]


def test_booleans_keep_three_values() -> None:
    rows = rows_of(*(Event("executable", 1, None, {"nx": nx}) for nx in (True, False, None)))
    assert [row.get("nx") for row in rows] == [True, False, None]


def test_rows_come_kind_after_kind_in_the_order_of_adding() -> None:
    rows = rows_of(
        Event("process", 9, None, {}),
        Event("dns_answer", 1, None, {}),
        Event("process", 2, None, {}),
    )
    assert [(row["telemetry"], row["ts_us"]) for row in rows] == [
        ("process", 9),
        ("process", 2),
        ("dns_answer", 1),
    ]


def test_equal_texts_and_processes_are_kept_once() -> None:
    builder = BatchBuilder()
    for number in range(3):
        builder.add(Event("dns_answer", number, NGINX, {"name": "a.example", "type": "A"}))
    builder.add(Event("dns_answer", 4, NGINX._replace(start_us=2_000), {"type": "A"}))
    batch = builder.build(HEADER)
    assert list(batch.strings) == ["a.example", "A"]
    assert list(batch.processes) == [NGINX, NGINX._replace(start_us=2_000)]


def test_a_column_without_any_value_is_left_out() -> None:
    builder = BatchBuilder()
    builder.add(Event("process", 1, None, {"state": None}))
    assert dict(builder.build(HEADER).tables["process"].columns) == {}


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (Event("usb", 1, None, {}), KeyError),
        (Event("process", 1, None, {"color": "red"}), KeyError),
        (Event("process", 1, None, {"color": None}), KeyError),
        (Event("process", 1, None, {"state": "asleep"}), KeyError),
        (Event("connection", 1, None, {"remote_scope": "public"}), KeyError),
        (Event("imds_request", 1, None, {"imds_version": 3}), KeyError),
        (Event("process", 1, None, {"argument_count": 2**63}), OverflowError),
        (Event("process", 2**63, None, {}), OverflowError),
        (Event("connection", 1, None, {"local_port": -1}), OverflowError),
        (Event("connection", 1, None, {"local_port": 65_536}), OverflowError),
        (Event("process", 1, Process(2**63), {}), OverflowError),
        (Event("process", 1, None, {"argument_count": 1.0}), TypeError),
        (Event("process", 1, None, {"arguments": 5}), TypeError),
        (Event("process", 1, None, {"arguments": ["a"]}), TypeError),
        (Event("connection", 1, None, {"remote_address": 5}), TypeError),
    ],
)
def test_a_refused_event_leaves_no_trace(event: Event, error: type[Exception]) -> None:
    good = Event("process", 1, None, {"state": "started", "argument_count": 3})
    builder = BatchBuilder()
    builder.add(good)
    with pytest.raises(error):
        builder.add(event)
    with pytest.raises(error):
        builder.add(event._replace(values={"source": "simulator"} | event.values))
    builder.add(good)
    assert len(builder) == 2
    batch = builder.build(HEADER)
    assert list(batch.tables) == ["process"]
    assert list(batch.rows()) == rows_of(good, good)


def test_texts_are_canonical_where_the_column_says_so() -> None:
    values = {"server_name": "WWW.Example.ORG", "remote_address": "::ffff:10.0.0.9", "alpn": "H2"}
    row = rows_of(Event("tls_session", 1, None, values))[0]
    assert row["server_name"] == "www.example.org"
    assert row["remote_address"] == "10.0.0.9"
    assert row["alpn"] == "H2"


def test_a_name_that_is_no_utf_8_does_not_hide_its_event() -> None:
    process = Process(9, name="ev\udcffil", path="/tmp/ev\udcffil")  # noqa: S108
    rows = rows_of(*(Event("process", 1, process, {"arguments": "\udcff"}) for _ in range(2)))
    assert rows[0] == rows[1]
    assert rows[0]["process_path"] == "/tmp/ev?il"  # noqa: S108
    assert rows[0]["arguments"] == "?"


def test_a_text_that_is_too_long_is_cut_and_marked() -> None:
    long = "é" * MAX_TEXT_BYTES
    builder = BatchBuilder()
    for text in (long, long, long + "x", "é" * (MAX_TEXT_BYTES // 2)):
        builder.add(Event("process", 1, Process(1, path=text), {"arguments": text}))
    batch = builder.build(HEADER)
    assert len(batch.strings) == len(batch.processes) == 2
    cut, whole = batch.strings
    assert len(cut.encode()) <= MAX_TEXT_BYTES
    assert cut.lstrip("é") == "…"
    assert whole == "é" * (MAX_TEXT_BYTES // 2)
    assert batch.processes[0].path == cut


def test_a_builder_is_full_by_events_or_by_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "MAX_EVENTS", 3)
    builder = BatchBuilder()
    for number in range(3):
        assert not builder.is_full, number
        builder.add(Event("process", number, None, {}))
    assert builder.is_full
    monkeypatch.setattr(batch_module, "MAX_EVENTS", MAX_EVENTS)
    monkeypatch.setattr(batch_module, "MAX_TEXTS_BYTES", 20)
    builder = BatchBuilder()
    builder.add(Event("process", 1, Process(1, name="ten bytes!"), {"arguments": "nine byte"}))
    assert not builder.is_full
    builder.add(Event("process", 1, Process(1, name="ten bytes!"), {"arguments": "x"}))
    assert builder.is_full


def test_a_row_becomes_an_event_without_agent_and_derived_columns() -> None:
    row = {
        "telemetry": "connection",
        "ts_us": 5,
        "agent_id": "i-1",
        "uid": 33,
        "remote_address": "10.0.0.9",
        "remote_scope": "private",
        "remote_port": None,
    }
    assert Event.from_row(row) == Event(
        "connection", 5, Process(uid=33), {"remote_address": "10.0.0.9"}
    )
    assert Event.from_row({"telemetry": "process", "ts_us": 5}).process is None


def test_many_events_are_added_at_once_or_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    good = Event("process", 1, Process(7, name="a"), {"state": "started", "arguments": "-x"})
    bad = Event("connection", 2, Process(8, name="b"), {"remote_address": "::1", "local_port": -1})
    builder = BatchBuilder()
    assert builder.extend([good, good])
    assert not builder.extend([good._replace(values={"arguments": "-y"}), bad])
    assert not builder.extend([Event("unheard", 1, None, {})])
    builder.add(good._replace(values={"arguments": "-z", "argument_count": 0}))
    assert len(builder) == 3
    monkeypatch.setattr(batch_module, "MAX_EVENTS", 4)
    assert not builder.extend([good, good])
    monkeypatch.setattr(batch_module, "MAX_TEXTS_BYTES", 10)
    assert not builder.extend([good._replace(values={"arguments": "ten bytes!"})])
    batch = builder.build(HEADER)
    assert batch.strings == ("-x", "-z")
    assert batch.processes == (Process(7, name="a"),)
    assert list(batch.tables) == ["process"]
    assert [row.get("arguments") for row in batch.rows()] == ["-x", "-x", "-z"]
