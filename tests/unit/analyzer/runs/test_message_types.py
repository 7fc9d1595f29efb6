"""Messages are counted by Inspector's names where it had them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyzer.model import MessageCount
from analyzer.runs.message_types import PROCESS_TYPES, SOCKET_TYPES, count_messages
from rules.telemetry import Event
from rules.telemetry.kinds import KINDS
from tests.telemetry_batches import batch

README = Path(__file__).parents[4] / "analyzer" / "README.md"


def counted(*events: Event) -> dict[str, int]:
    sent = batch(1, (0, 10), events)
    return {name: part.count for name, part in count_messages(sent, {}).items()}


@pytest.mark.parametrize(("kind", "protocol", "family"), SOCKET_TYPES)
def test_sockets_count_by_transport_and_family(kind: str, protocol: str, family: int) -> None:
    address = "10.0.0.1" if family == 4 else "fd00::1"
    event = Event(kind, 1, None, {"protocol": protocol, "local_address": address})
    assert counted(event, event) == {SOCKET_TYPES[kind, protocol, family]: 2}


def test_connection_without_local_address_counts_by_its_peer() -> None:
    peers = ("::ffff:10.0.0.1", "10.0.0.2", "fd00::2")
    events = [
        Event("connection", 1, None, {"protocol": "tcp", "remote_address": peer}) for peer in peers
    ]
    assert counted(*events) == {"InspectorTcpV4Connection": 2, "InspectorTcpV6Connection": 1}


def test_socket_of_which_nothing_is_known_has_our_name() -> None:
    bare = Event("connection", 1, None, {"remote_port": 23})
    assert counted(bare, Event("listener", 1, None, {"protocol": "tcp"})) == {
        "ProctorConnection": 1,
        "ProctorListener": 1,
    }


def test_start_and_end_of_processes_are_apart() -> None:
    events = [Event("process", 1, None, {"state": state}) for state in PROCESS_TYPES]
    assert counted(*events, events[0], Event("process", 1, None, {"source": "perf"})) == {
        "InspectorCreateProcess": 2,
        "InspectorStopProcess": 1,
        "ProctorProcess": 1,
    }


def test_counts_and_sizes_add_up() -> None:
    sent = batch(1, (0, 10), [Event("user", 1, None, {"account_name": "root", "account_uid": 0})])
    once = count_messages(sent, {})
    twice = count_messages(sent, once)
    size = once["InspectorUser"].size_bytes
    assert size == 8 + 4 + 4 + 8  # time, process, text, number
    assert twice == {"InspectorUser": MessageCount(2, 2 * size)}


def test_every_type_is_documented() -> None:
    named = set(re.findall(r"`((?:Inspector|Proctor)\w+)`", README.read_text(encoding="utf-8")))
    types = {kind.message_type for kind in KINDS.values()}
    assert types | set(SOCKET_TYPES.values()) | set(PROCESS_TYPES.values()) <= named
