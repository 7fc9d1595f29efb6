"""Batches and messages that tests of the wire take apart and put together wrongly."""

from typing import Any

import msgspec

from rules.telemetry import Batch, BatchBuilder, Coverage, Event, Header, Loss, Process
from rules.telemetry.compression import pack

NGINX = Process(812, 1_000, "nginx", "/usr/sbin/nginx", 1, 33, "www-data", None)
HEADER = Header(
    agent_id="i-0abc",
    boot_id="00ff",
    stream="main",
    sequence=7,
    from_us=1_000_000,
    to_us=3_000_000,
    runs=("run-1",),
    kinds=("connection", "tls_session"),
    losses=(Loss("spool_full", 3, 0, 500_000),),
    coverage=(
        Coverage("perf", ("connection",), 1_000_000, 3_000_000, "on", "tracepoint"),
        Coverage(
            "packets", ("tls_session",), 1_000_000, 3_000_000, "degraded", "", 4, {"ring": 2}, 5, 6
        ),
    ),
)


def sample_events(count: int) -> list[Event]:
    """Return connections of one process, every third with a handshake behind it."""
    events = []
    for number in range(count):
        ts_us = 1_000_000 + 50 * number
        values = {
            "direction": "outbound",
            "protocol": "tcp",
            "local_address": "10.0.4.12",
            "local_port": 40_000 + number,
            "remote_address": f"10.0.9.{number % 200}",
            "remote_port": 443,
            "state": "closed" if number % 2 else "opened",
            "attribution": "exact",
            "source": "perf",
        }
        if number % 2:
            values |= {"duration_us": 10 * number, "bytes_sent": number, "bytes_received": 0}
        events.append(Event("connection", ts_us, NGINX, values))
        if number % 3 == 0:
            hello = {"server_name": "example.org", "tls_version": "TLSv1.2", "cert_key_bits": 2048}
            events.append(Event("tls_session", ts_us + 1, None, hello))
    return events


def sample_batch(count: int = 6) -> Batch:
    """Return a small batch with two kinds, nulls and a process."""
    builder = BatchBuilder()
    for event in sample_events(count):
        builder.add(event)
    return builder.build(HEADER)


def sealed(  # a message with parts of the caller's choice
    tables: list[bytes],
    *,
    header: Any = HEADER,  # noqa: ANN401
    strings: Any = ("a", "b"),  # noqa: ANN401
    processes: Any = (NGINX,),  # noqa: ANN401
    events: int = 1,
) -> bytes:
    """Return a message that is well formed up to its tables."""
    body = b"".join(tables) + msgspec.msgpack.encode((header, strings, processes))
    return sealed_body(body, events=events, tables=[len(table) for table in tables])


def sealed_body(body: bytes, /, *, events: int = 1, **changes: Any) -> bytes:  # noqa: ANN401
    """Return a message around any body; ``changes`` replace fields of the envelope."""
    method, packed = pack(body)
    label = (HEADER.agent_id, HEADER.boot_id, HEADER.stream, HEADER.sequence, events)
    fields = {
        "magic": "proctor",
        "version": 1,
        "compression": method,
        "size_bytes": len(body),
        "label": label,
        "tables": (),
        "body": packed,
    }
    return msgspec.msgpack.encode(tuple((fields | changes).values()))
