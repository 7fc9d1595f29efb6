"""Short ways to write a batch down in tests of the analyzer."""

from collections.abc import Iterable, Sequence
from typing import Any

from rules.telemetry.batch import (
    Batch,
    Coverage,
    Event,
    Header,
    Loss,
    Process,
)
from rules.telemetry.batch_builder import BatchBuilder

CURL = Process(2210, 1_000, "curl", "/usr/bin/curl", 1, 1000, "alice")
SECOND_US = 1_000_000


def connection(ts_us: int, process: Process | None = CURL, **values: Any) -> Event:  # noqa: ANN401
    given = {
        "direction": "outbound",
        "protocol": "tcp",
        "local_address": "10.0.0.1",
        "local_port": 40_000,
        "remote_address": "10.0.9.8",
        "remote_port": 23,
        "state": "opened",
        "attribution": "polled" if process else "unknown",
        "source": "sock_diag",
    }
    return Event("connection", ts_us, process, given | values)


def watching(
    from_us: int,
    to_us: int,
    *,
    kinds: Sequence[str] = ("connection", "listener"),
    state: str = "on",
    lost: dict[str, int] | None = None,
) -> Coverage:
    return Coverage(
        "sockets", tuple(kinds), from_us, to_us, state, method="netlink dump", lost=lost
    )


def batch(
    sequence: int,
    covered: tuple[int, int],
    events: Iterable[Event] = (),
    *,
    agent_id: str = "i-1",
    boot_id: str = "b0",
    stream: str = "main",
    losses: tuple[Loss, ...] = (),
    coverage: tuple[Coverage, ...] | None = None,
) -> Batch:
    builder = BatchBuilder()
    for event in events:
        builder.add(event)
    return builder.build(
        Header(
            agent_id=agent_id,
            boot_id=boot_id,
            stream=stream,
            sequence=sequence,
            from_us=covered[0],
            to_us=covered[1],
            kinds=("connection", "listener"),
            losses=losses,
            coverage=(watching(*covered),) if coverage is None else coverage,
        )
    )
