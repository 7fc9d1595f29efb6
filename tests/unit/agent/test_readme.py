"""agent/README.md is complete: every setting, blind spot and cause of loss stands in it."""

from pathlib import Path

import pytest

from agent import batching, recorder, spool
from agent.config import FIELDS, flag_of, meta_of
from agent.decode import perf_records, traffic
from agent.sensors import LADDERS, perf, perf_stream, sockets
from agent.sensors.sensor import Tools
from agent.sensors.sockets import SockDiagSensor
from rules.telemetry import ManualClock

README = Path(__file__).parents[3] / "agent" / "README.md"
TEXT = README.read_text(encoding="utf-8")
LOSSES = (
    "backlog_full",
    "packet_drops",
    traffic.EVICTED,
    traffic.GAP,
    perf_records.RING_FULL,
    perf_records.THROTTLED,
    perf_records.UNREADABLE,
    perf_stream.CPUS_CHANGED,
    "enobufs",
    "probe_backlog",
    "table_full",
    batching.MALFORMED,
    recorder.UNSENDABLE,
    spool.REJECTED,
    spool.SPOOL_EXPIRED,
    spool.SPOOL_FULL,
    spool.SPOOL_IO,
)


def setting_row(name: str) -> str:
    """Return the line of the table of settings that a setting must have."""
    meta = meta_of(name)
    default = FIELDS[name].default
    if isinstance(default, bool):
        shown = str(default).lower()
    elif isinstance(default, float):
        shown = f"{default:g}"
    else:
        shown = str(default)
    unit = f" {meta.extra['unit']}" if meta.extra else ""
    value = f"`{shown}`{unit}" if shown and name != "tags" else ""
    return f"| `{name}` | `{flag_of(name)}` | {value} | {meta.description} |"


@pytest.mark.parametrize("name", FIELDS)
def test_setting_has_its_row(name: str) -> None:
    assert setting_row(name) in TEXT.splitlines()


def test_no_other_setting_has_a_row() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| `") and "| `--" in line]

    assert len(rows) == len(FIELDS)


@pytest.mark.parametrize("cause", LOSSES)
def test_cause_of_loss_is_explained(cause: str) -> None:
    assert f"| `{cause}` |" in TEXT


def test_every_blind_spot_stands_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "count_unreadable", lambda: 1)
    tools = Tools(ManualClock())
    spots = {spot for ladder in LADDERS for make in ladder for spot in make(tools).blind_spots()}
    without_ends = SockDiagSensor(tools)
    monkeypatch.setattr(without_ends, "_listeners", object())

    for spot in spots | set(without_ends.blind_spots()):
        assert f"- {spot}" in TEXT


def test_every_sensor_is_named() -> None:
    for ladder in LADDERS:
        for make in ladder:
            assert f"`{make(Tools(ManualClock())).name}`" in TEXT


def test_remedies_stand_as_they_are_given() -> None:
    assert sockets.REMEDY_OWNERS in TEXT
    assert perf.REMEDY_PRIVILEGE in TEXT
