"""What the analyzer may want of an agent, and when it ends."""

import json
import logging
from typing import Any

import pytest

from agent.control import (
    MAX_PAYLOAD_BYTES,
    MAX_RUN_US,
    MAX_RUNS,
    Control,
    Wanted,
    WantedRun,
    next_change_us,
    parse_control,
    wanted_at,
)
from agent.errors import ControlError


def _run(
    run: str = "r1", *, kinds: tuple[str, ...] = ("connection",), span: tuple[int, int] = (10, 20)
) -> WantedRun:
    return WantedRun(run=run, kinds=kinds, from_us=span[0], to_us=span[1])


def _payload(**changes: object) -> bytes:
    run: dict[str, Any] = {"run": "r1", "kinds": ["connection"], "from_us": 10, "to_us": 20}
    run.update(changes)
    return json.dumps({"format": 1, "runs": [run]}).encode()


def test_runs_of_a_message() -> None:
    assert parse_control(_payload()) == (_run(),)
    assert parse_control(_payload(later="field")) == (_run(),)
    assert parse_control(b'{"format":1,"runs":[]}') == ()


def test_cleared_retained_message_wants_nothing() -> None:
    assert parse_control(b"") == ()


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"null",
        b"\xff",
        b'{"runs":[]}',
        b'{"format":2,"runs":[]}',
        b'{"format":1,"runs":{}}',
        b" " * (MAX_PAYLOAD_BYTES + 1),
        _payload(run=""),
        _payload(run=7),
        _payload(run="\udcff"),
        _payload(kinds="connection"),
        _payload(kinds=["x" * 65]),
        _payload(from_us=-1),
        _payload(from_us=1.5),
        _payload(to_us=10),
        _payload(to_us=2**63),
        _payload(to_us=11 + MAX_RUN_US),
        json.dumps(
            {"format": 1, "runs": [json.loads(_payload())["runs"][0]] * (MAX_RUNS + 1)}
        ).encode(),
    ],
)
def test_malformed_message_is_refused(payload: bytes) -> None:
    with pytest.raises(ControlError):
        parse_control(payload)


def test_nothing_is_wanted_without_a_run() -> None:
    assert not wanted_at((), 15)
    assert wanted_at((), 15) == Wanted()


@pytest.mark.parametrize(("now_us", "is_wanted"), [(9, False), (10, True), (19, True), (20, False)])
def test_run_is_wanted_from_its_start_until_before_its_end(now_us: int, is_wanted: bool) -> None:  # noqa: FBT001
    assert bool(wanted_at((_run(),), now_us)) is is_wanted


def test_wanted_is_the_union_of_active_runs() -> None:
    runs = (
        _run("b", kinds=("connection",), span=(10, 20)),
        _run("a", kinds=("listener",), span=(15, 40)),
        _run("c", kinds=("aws_call",), span=(30, 40)),
    )
    assert wanted_at(runs, 16) == Wanted(("a", "b"), frozenset({"connection", "listener"}), 40)
    assert wanted_at(runs, 25) == Wanted(("a",), frozenset({"listener"}), 40)


def test_kind_from_a_newer_analyzer_is_left_out() -> None:
    wanted = wanted_at((_run(kinds=("connection", "quantum_state")),), 15)
    assert wanted.kinds == {"connection"}


def test_next_change_is_the_next_start_or_end() -> None:
    runs = (_run(span=(10, 20)), _run(span=(15, 40)))
    changes = [next_change_us(runs, now_us) for now_us in (0, 10, 15, 20, 40)]
    assert changes == [10, 15, 20, 40, None]


def test_update_tells_whether_anything_changed() -> None:
    control = Control()
    assert control.update(_payload())
    assert not control.update(_payload())
    assert control.update(b"")
    assert control.runs == ()


def test_malformed_update_keeps_what_was_wanted(caplog: pytest.LogCaptureFixture) -> None:
    control = Control()
    control.update(_payload())
    with caplog.at_level(logging.WARNING):
        assert not control.update(b"{")
        assert not control.update(b"[")
    assert control.runs == (_run(),)
    assert control.refused == 2
    assert [record.message for record in caplog.records] == ["control.refused"]


def test_malformed_update_is_logged_again_after_a_sound_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    control = Control()
    for payload in (b"{", _payload(), b"{"):
        control.update(payload)
    assert [record.message for record in caplog.records] == ["control.refused"] * 2
