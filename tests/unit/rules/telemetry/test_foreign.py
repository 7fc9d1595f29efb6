import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rules.errors import WireError
from rules.telemetry import Coverage, Header, Loss
from rules.telemetry.batch import MAX_EVENTS
from rules.telemetry.foreign import MAX_JSON_BYTES, decode_json
from rules.telemetry.wire import REASONS, decode_any

Payload = dict[str, Any]


def payload(**changes: Any) -> Payload:  # noqa: ANN401
    whole = {
        "format": 1,
        "agent_id": "i-1",
        "boot_id": "b0",
        "stream": "main",
        "sequence": 3,
        "from_us": 10,
        "to_us": 20,
        "runs": ["run-1"],
        "kinds": ["connection"],
        "losses": [{"cause": "queue", "events": 2, "from_us": 10, "to_us": 12}],
        "coverage": [
            {
                "telemetry": "coverage",
                "agent_id": "i-1",
                "sensor": "pcap",
                "kinds": ["connection"],
                "from_us": 10,
                "to_us": 20,
                "state": "degraded",
                "lost": {"queue": 2},
            }
        ],
        "events": [
            {
                "telemetry": "connection",
                "ts_us": 11,
                "agent_id": "i-1",
                "pid": 5,
                "process_name": "curl",
                "remote_address": "::ffff:10.0.0.9",
                "remote_port": 443,
                "remote_scope": "public",
                "app_protocol": None,
            },
            {"telemetry": "tls_session", "ts_us": 12, "server_name": "EXAMPLE.org"},
        ],
    }
    return {key: value for key, value in (whole | changes).items() if value is not None}


def encoded(**changes: Any) -> bytes:  # noqa: ANN401
    return json.dumps(payload(**changes)).encode()


def test_a_json_batch_becomes_the_same_batch() -> None:
    batch = decode_any(encoded())
    assert batch.header == Header(
        agent_id="i-1",
        boot_id="b0",
        stream="main",
        sequence=3,
        from_us=10,
        to_us=20,
        runs=("run-1",),
        kinds=("connection",),
        losses=(Loss("queue", 2, 10, 12),),
        coverage=(Coverage("pcap", ("connection",), 10, 20, "degraded", lost={"queue": 2}),),
    )
    assert list(batch.rows()) == [
        {
            "telemetry": "connection",
            "ts_us": 11,
            "agent_id": "i-1",
            "pid": 5,
            "process_name": "curl",
            "remote_address": "10.0.0.9",
            "remote_port": 443,
        },
        {
            "telemetry": "tls_session",
            "ts_us": 12,
            "agent_id": "i-1",
            "server_name": "example.org",
        },
    ]
    assert batch.tables["connection"].ts_us.dtype == np.int64


def test_what_may_be_left_out_is_empty() -> None:
    batch = decode_any(encoded(runs=None, kinds=None, losses=None, coverage=None, events=None))
    assert batch.header == Header("i-1", "b0", "main", 3, 10, 20)
    assert len(batch) == 0


def event(**changes: Any) -> list[Payload]:  # noqa: ANN401
    return [{"telemetry": "process", "ts_us": 11} | changes]


def coverage(**changes: Any) -> list[Payload]:  # noqa: ANN401
    return [payload()["coverage"][0] | changes]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "json"),
        (b"{}", "version"),
        (b'{"format":1,"format":1}', "json"),
        (b'{"format":1,"events":[{"a":1,"a":2}]}', "json"),
        (b'{"format":' + b"9" * 5_000 + b"}", "json"),
        (b"{" + b" " * MAX_JSON_BYTES + b"}", "oversized"),
        (encoded(format=2), "version"),
        (encoded(format=True), "version"),
        (encoded(format="1"), "version"),
        (encoded(agent_id=None), "header"),
        (encoded(agent_id="a b"), "header"),
        (encoded(agent_id=5), "header"),
        (encoded(sequence=0), "header"),
        (encoded(sequence=1.0), "header"),
        (encoded(sequence=2**63), "header"),
        (encoded(to_us=9), "header"),
        (encoded(kinds=["usb"]), "header"),
        (encoded(kinds="connection"), "header"),
        (encoded(runs=["r"] * 1_001), "header"),
        (encoded(losses=[{"cause": "x"}]), "header"),
        (encoded(losses=[{"cause": "x", "events": -1, "from_us": 0, "to_us": 1}]), "header"),
        (encoded(mood="new"), "header"),
        (encoded(events={}), "header"),
        (encoded(coverage="all"), "header"),
        (encoded(events=event() * (MAX_EVENTS + 1)), "count"),
        (encoded(coverage=coverage() * 1_001), "count"),
        (encoded(events=["row"]), "event"),
        (encoded(events=event(telemetry="usb")), "event"),
        (encoded(events=event(ts_us=1.5)), "event"),
        (encoded(events=event(agent_id="i-2")), "event"),
        (encoded(events=event(agent_id=None)), "event"),
        (encoded(events=event(argument_count=2**63)), "event"),
        (encoded(events=event(mood=1)), "event"),
        (encoded(events=coverage()), "event"),
        (encoded(coverage=event()), "event"),
        (encoded(coverage=coverage(agent_id="i-2")), "event"),
        (encoded(coverage=coverage(state="asleep")), "event"),
        (encoded(coverage=coverage(lost={"queue": -1})), "event"),
        (encoded(coverage=coverage(from_us=21)), "event"),
    ],
)
@pytest.mark.parametrize("read", [decode_json, decode_any])
def test_a_json_batch_that_breaks_the_contract_is_refused(
    data: bytes, reason: str, read: Callable[[bytes], Any]
) -> None:
    with pytest.raises(WireError) as caught:
        read(data)
    assert caught.value.reason == reason
    assert reason in REASONS
    assert len(str(caught.value)) < 500


def test_an_error_names_the_row() -> None:
    with pytest.raises(WireError, match=r"^event: events\[1\]: ts_us is missing$"):
        decode_json(encoded(events=[*event(), {"telemetry": "process"}]))
