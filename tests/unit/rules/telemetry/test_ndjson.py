"""The events contract, line by line."""

import json
from typing import Any

import pytest

from rules.errors import EventError
from rules.telemetry import Coverage
from rules.telemetry.kinds import KINDS, ColumnType
from rules.telemetry.ndjson import (
    Capture,
    decode_fields,
    decode_line,
    decode_object,
    decode_tagged,
    encode_capture,
    encode_coverage,
    encode_row,
)

Fields = dict[str, Any]


def line(**changes: Any) -> bytes:  # noqa: ANN401
    return json.dumps({"telemetry": "connection", "ts_us": 5, "agent_id": "i-1"} | changes).encode()


def header(**changes: Any) -> bytes:  # noqa: ANN401
    whole = {"telemetry": "capture", "format": 1, "agent_id": "i-1", "from_us": 0, "to_us": 9}
    return json.dumps(whole | {"kinds": ["connection"]} | changes).encode()


def coverage(**changes: Any) -> bytes:  # noqa: ANN401
    whole = {"telemetry": "coverage", "agent_id": "i-1", "sensor": "perf", "kinds": ["connection"]}
    return json.dumps(whole | {"from_us": 0, "to_us": 9, "state": "on"} | changes).encode()


def problem_of(data: bytes) -> str:
    with pytest.raises(EventError) as caught:
        decode_line(data)
    return str(caught.value)


def value_of(**changes: Any) -> Any:  # noqa: ANN401
    row = decode_line(line(**changes))
    assert isinstance(row, dict)
    return row.get(next(key for key in changes if key != "telemetry"))


def test_an_event_has_kind_time_agent_and_columns() -> None:
    assert decode_tagged(line(remote_port=443, app_protocol=None)) == (
        "i-1",
        {"telemetry": "connection", "ts_us": 5, "agent_id": "i-1", "remote_port": 443},
    )


def test_an_event_may_lack_its_agent() -> None:
    data = b'{"telemetry":"connection","ts_us":5}'
    assert decode_tagged(data) == (
        None,
        {"telemetry": "connection", "ts_us": 5, "agent_id": None},
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_column_of_every_kind_is_read(kind: str) -> None:
    for column in KINDS[kind].columns.values():
        value: Any = {
            ColumnType.TEXT: "x",
            ColumnType.ADDRESS: "10.0.0.1",
            ColumnType.PORT: 65_535,
            ColumnType.BOOLEAN: False,
            ColumnType.INTEGER: column.numbers[-1] if column.numbers else -(2**63),
        }.get(column.type) or (column.closed[-1] if column.closed else False)
        row = decode_line(line(telemetry=kind, **{column.name: value}))
        assert isinstance(row, dict)
        assert row[column.name] == value


@pytest.mark.parametrize(
    "data", [line(remote_port=None), line(), b" " + line() + b"\r\n", b"\t" + line()]
)
def test_a_missing_key_is_null_and_space_around_does_not_matter(data: bytes) -> None:
    assert decode_line(data) == {"telemetry": "connection", "ts_us": 5, "agent_id": "i-1"}


def test_an_empty_text_is_a_value() -> None:
    assert value_of(telemetry="process", arguments="") == ""
    assert value_of(telemetry="tls_session", server_name="") == ""


def test_names_are_lowered_and_mapped_addresses_become_ipv4() -> None:
    assert value_of(telemetry="tls_session", server_name="WWW.Example.ORG") == "www.example.org"
    assert value_of(telemetry="tls_session", cert_subject="CN=Example") == "CN=Example"
    assert value_of(remote_address="::ffff:10.0.0.9") == "10.0.0.9"
    assert value_of(remote_address="2001:DB8::1") == "2001:DB8::1"


@pytest.mark.parametrize("value", [0, 65_535])
def test_ports_reach_from_0_to_65535(value: int) -> None:
    assert value_of(remote_port=value) == value


@pytest.mark.parametrize("value", [-(2**63), 2**63 - 1, -1])
def test_integers_have_64_bits(value: int) -> None:
    assert value_of(bytes_sent=value) == value
    row = decode_line(line(ts_us=value))
    assert isinstance(row, dict)
    assert row["ts_us"] == value


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not JSON: Input data was truncated"),
        (b"hello", "not JSON: "),
        (b"{'a': 1}", "not JSON: "),
        (line()[:-1], "not JSON: "),
        (line() + b"x", "not JSON: "),
        (b"\xef\xbb\xbf" + line(), "not JSON: "),
        (line(process_name="\xe9").replace(b"\\u00e9", b"\xe9"), "not JSON: "),
        (line(process_name="\ud800"), "not JSON: "),
        (b"[" * 100_000, "not JSON: nested too deeply"),
        (b'{"a":' * 100_000, "not JSON: nested too deeply"),
        (b"[1]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"5", "not a JSON object"),
        (b"{}", "no telemetry kind; known kinds: connection, "),
        (line(telemetry=None), "no telemetry kind"),
        (line(telemetry="usb"), 'unknown kind "usb"; known kinds: connection, '),
        (line(telemetry=5), "unknown kind 5"),
        (line(telemetry=["connection"]), 'unknown kind ["connection"]'),
        (line(telemetry="Connection"), "unknown kind"),
        (line(color="red"), 'unknown column "color" of connection'),
        (line(color=None), 'unknown column "color" of connection'),
        (line(format=1), 'unknown column "format" of connection'),
        (line(server_name="x"), 'unknown column "server_name" of connection'),
        (line(ts_us=None), "ts_us is missing"),
        (b'{"telemetry":"connection"}', "ts_us is missing"),
        (line(ts_us="5"), 'ts_us is "5", which is no 64 bit integer'),
        (line(ts_us=5.0), "ts_us is 5.0, which is no 64 bit integer"),
        (line(ts_us=True), "ts_us is true, which is no 64 bit integer"),
        (line(ts_us=2**63), "ts_us is 9223372036854775808, which is no 64 bit integer"),
        (line(ts_us=10**400), "ts_us is 1000"),
        (line(pid=10**400), "pid is 1000"),
        (line(pid=5).replace(b"5", b"5" * 5_000), "not JSON: Integer value out of range"),
        (line(agent_id=None), "agent_id is missing"),
        (line(agent_id=5), "agent_id is 5, which is no text"),
        (line(remote_port=443.0), "remote_port is 443.0, which is no port"),
        (line(remote_port="443"), 'remote_port is "443", which is no port'),
        (line(remote_port=True), "remote_port is true, which is no port"),
        (line(remote_port=-1), "remote_port is -1; allowed: 0 to 65535"),
        (line(remote_port=65_536), "remote_port is 65536; allowed: 0 to 65535"),
        (line(bytes_sent=1e3), "bytes_sent is 1000.0, which is no integer"),
        (
            line(bytes_sent=2**63),
            "bytes_sent is 9223372036854775808; allowed: -9223372036854775808",
        ),
        (line(bytes_sent=-(2**63) - 1), "bytes_sent is -9223372036854775809; allowed: "),
        (line(bytes_sent=2**64), "bytes_sent is 18446744073709551616"),
        (line(process_name=5), "process_name is 5, which is no text"),
        (line(process_name={"a": 1}), 'process_name is {"a":1}, which is no text'),
        (line(remote_address=5), "remote_address is 5, which is no address"),
        (line(state="open"), 'state is "open"; allowed: opened, closed'),
        (line(state=""), 'state is ""; allowed: opened, closed'),
        (line(state=1), "state is 1, which is no code"),
        (line(direction="OUTBOUND"), 'direction is "OUTBOUND"; allowed: outbound, inbound'),
        (line(remote_scope="near"), 'remote_scope is "near"; allowed: loopback'),
        (line(telemetry="imds_request", imds_version=3), "imds_version is 3; allowed: 1, 2"),
        (line(telemetry="executable", nx=1), "nx is 1, which is no boolean"),
        (line(telemetry="executable", nx="true"), 'nx is "true", which is no boolean'),
        (b'{"telemetry":"connection","ts_us":5,"ts_us":5}', 'duplicate key "ts_us"'),
        (b'{"telemetry":"connection","ts_us":5,"\\u0074s_us":6}', 'duplicate key "ts_us"'),
        (b'{"telemetry":"connection","ts_us":5,"pid" : 1,"pid":2}', 'duplicate key "pid"'),
        (line(process_name="x" * 9_999, pid="y" * 9_999), 'pid is "yyy'),
    ],
)
def test_a_line_that_breaks_the_contract_says_how(data: bytes, problem: str) -> None:
    text = problem_of(data)
    assert text.startswith(problem)
    assert len(text) < 400


def test_text_that_looks_like_keys_is_no_duplicate() -> None:
    tricky = '"pid":1,"pid":2'
    assert value_of(telemetry="process", arguments=tricky) == tricky


def test_many_keys_are_read_in_linear_time() -> None:
    keys = ",".join(f'"k{number}":0' for number in range(50_000))
    assert problem_of(f'{{{keys},"k0":1}}'.encode()) == 'duplicate key "k0"'


def test_the_second_parser_may_run_out_of_stack_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr(json, "loads", exhausted)
    assert problem_of(b'{"a":{"b":1}}') == "not JSON: nested too deeply"


def test_a_header_says_what_was_collected_and_when() -> None:
    assert decode_tagged(header()) == ("i-1", Capture("i-1", 0, 9, ("connection",)))
    assert decode_line(header(kinds=[])) == Capture("i-1", 0, 9, ())
    assert decode_line(header(to_us=0)) == Capture("i-1", 0, 0, ("connection",))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (header(format=2), "format 2 is unknown; the newest known format is 1"),
        (header(format=None), "format is missing"),
        (header(format="1"), 'format is "1", which is no 64 bit integer'),
        (header(kinds=["usb"]), 'unknown kind "usb" in kinds; known kinds: connection'),
        (header(kinds=["coverage"]), 'unknown kind "coverage" in kinds'),
        (header(kinds="connection"), 'kinds is "connection", which is no list of texts'),
        (header(kinds=[5]), "kinds is [5], which is no list of texts"),
        (header(kinds=None), "kinds is missing"),
        (header(agent_id=None), "agent_id is missing"),
        (header(from_us=None), "from_us is missing"),
        (header(to_us=1.5), "to_us is 1.5, which is no 64 bit integer"),
        (header(to_us=-1), "to_us is before from_us"),
        (header(ts_us=5), 'unknown column "ts_us" of capture'),
        (header(host="x"), 'unknown column "host" of capture'),
    ],
)
def test_a_header_that_breaks_the_contract_says_how(data: bytes, problem: str) -> None:
    assert problem_of(data).startswith(problem)


def test_a_coverage_row_has_defaults() -> None:
    assert decode_tagged(coverage()) == ("i-1", Coverage("perf", ("connection",), 0, 9, "on"))
    full = coverage(
        state="degraded", method="m", sampled_one_in=4, lost={"ring": 2}, cpu_ms=3, rss_bytes=0
    )
    assert decode_line(full) == Coverage(
        "perf", ("connection",), 0, 9, "degraded", "m", 4, {"ring": 2}, 3, 0
    )
    assert decode_line(coverage(lost=None, method=None)) == decode_line(coverage())


def test_a_coverage_row_may_lack_its_agent() -> None:
    data = b'{"telemetry":"coverage","sensor":"s","kinds":[],"from_us":0,"to_us":1,"state":"off"}'
    assert decode_tagged(data) == (None, Coverage("s", (), 0, 1, "off"))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (coverage(state="asleep"), 'state is "asleep"; allowed: on, degraded, off'),
        (coverage(state=None), "state is missing"),
        (coverage(sensor=None), "sensor is missing"),
        (coverage(sensor=5), "sensor is 5, which is no text"),
        (coverage(kinds=["usb"]), 'unknown kind "usb" in kinds'),
        (coverage(from_us=None), "from_us is missing"),
        (coverage(to_us=-1), "to_us is before from_us"),
        (coverage(ts_us=1), 'unknown column "ts_us" of coverage'),
        (coverage(format=1), 'unknown column "format" of coverage'),
        (coverage(agent_id=None), "agent_id is missing"),
        (coverage(method=5), "method is 5, which is no text"),
        (coverage(sampled_one_in=0), "sampled_one_in is 0; 1 means that nothing is left out"),
        (coverage(sampled_one_in=1.0), "sampled_one_in is 1.0, which is no 64 bit integer"),
        (coverage(lost=[]), "lost is [], which is no map of counts"),
        (coverage(lost={"ring": "2"}), 'lost.ring is "2", which is no 64 bit integer'),
        (coverage(lost={"ring": -1}), "lost.ring is -1, which is no count"),
        (coverage(cpu_ms=-1), "cpu_ms is -1, which is no count"),
        (coverage(rss_bytes=2**63), "rss_bytes is 9223372036854775808, which is no 64 bit"),
        (coverage(lost={"a": 1}).replace(b'"a": 1', b'"a": 1, "a": 2'), 'duplicate key "a"'),
    ],
)
def test_a_coverage_row_that_breaks_the_contract_says_how(data: bytes, problem: str) -> None:
    assert problem_of(data).startswith(problem)


def test_lines_are_written_canonically() -> None:
    row = {"ts_us": 5, "telemetry": "dns_answer", "name": "é", "ttl_s": None, "agent_id": "i"}
    assert (
        encode_row(row) == '{"agent_id":"i","name":"é","telemetry":"dns_answer","ts_us":5}'.encode()
    )
    assert encode_capture(Capture("i", 0, 9, ("process", "connection"))) == (
        b'{"agent_id":"i","format":1,"from_us":0,"kinds":["connection","process"],'
        b'"telemetry":"capture","to_us":9}'
    )
    assert encode_coverage("i", Coverage("perf", ("process", "connection"), 0, 9, "on")) == (
        b'{"agent_id":"i","from_us":0,"kinds":["connection","process"],"lost":{},"method":"",'
        b'"sampled_one_in":1,"sensor":"perf","state":"on","telemetry":"coverage","to_us":9}'
    )


def test_objects_read_elsewhere_are_checked_alike() -> None:
    assert decode_fields(decode_object(line())) == decode_tagged(line())
