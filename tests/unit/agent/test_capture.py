import asyncio
import io
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest

from agent.capture import Captured, capture
from rules.telemetry import Event, SystemClock
from rules.telemetry.recording import parse_recording, read_recording
from tests.collectors import ScriptedCollector
from tests.socket_facts import NGINX

FOR_S = 0.02


def listener(ts_us: int) -> Event:
    values = {
        "protocol": "tcp",
        "local_address": "::",
        "local_port": 443,
        "state": "present",
        "attribution": "polled",
        "source": "sock_diag",
    }
    return Event("listener", ts_us, NGINX, values)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Impatient(io.StringIO):
    """Somebody who presses Ctrl+C as soon as there is something to see."""

    def write(self, text: str) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return super().write(text)


async def run(
    out: Path | str,
    *,
    messages: io.StringIO | None = None,
    duration_s: float = FOR_S,
    collector: ScriptedCollector | None = None,
) -> Captured:
    clock = SystemClock()
    return await capture(
        collector or make_collector(),
        clock=clock,
        agent_id="h-1",
        duration_s=duration_s,
        out=str(out),
        messages=messages or io.StringIO(),
    )


class OneListener(ScriptedCollector):
    """Sees a listener a moment after it was started, however long that took."""

    async def start(self, kinds: frozenset[str]) -> None:
        await super().start(kinds)
        self.events = [listener(self._clock.now_us() + 5_000)]


def make_collector(times: Iterable[int] | None = None) -> ScriptedCollector:
    clock = SystemClock()
    kinds = ("connection", "listener")
    if times is None:
        return OneListener([], clock=clock, kinds=kinds)
    return ScriptedCollector([listener(ts_us) for ts_us in times], clock=clock, kinds=kinds)


def names_in(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


async def test_file_holds_header_coverage_and_events(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    captured = await run(path)

    recording = await asyncio.to_thread(read_recording, path)
    header = recording.headers["h-1"]
    assert (header.from_us, header.to_us) == (captured.from_us, captured.to_us)
    assert captured.to_us - captured.from_us >= FOR_S * 1_000_000
    assert header.kinds == captured.kinds == ("connection", "listener")
    (row,) = recording.rows
    assert (row["telemetry"], row["process_name"], row["local_port"]) == ("listener", "nginx", 443)
    assert captured.from_us <= row["ts_us"] < captured.to_us
    ((agent_id, coverage),) = recording.coverage
    assert (agent_id, coverage.state) == ("h-1", "on")
    assert (coverage.from_us, coverage.to_us) == (captured.from_us, captured.to_us)
    assert (captured.events, captured.exit_code) == (1, 0)
    assert names_in(tmp_path) == ["x.ndjson"]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
async def test_suffix_compresses(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.ndjson{suffix}"
    await run(path)

    assert not path.read_bytes().startswith(b"{")
    recording = await asyncio.to_thread(read_recording, path)
    assert len(recording.rows) == 1


async def test_dash_is_standard_output(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    await run("-")

    lines = capsysbinary.readouterr().out.splitlines()
    assert len(parse_recording(lines).rows) == 1


async def test_ready_is_said_once_collecting_has_begun(tmp_path: Path) -> None:
    messages = io.StringIO()
    collector = make_collector()
    await run(tmp_path / "x", messages=messages, collector=collector)

    assert messages.getvalue() == "ready\n"
    assert (len(collector.started), collector.stops) == (1, 1)


async def test_terminal_has_one_line_that_changes(tmp_path: Path) -> None:
    messages = Terminal()
    await run(tmp_path / "x", messages=messages)

    assert "\r\x1b[KCapturing, 0 s of 0.02 s left, 0 events" in messages.getvalue()
    assert messages.getvalue().endswith("\r\x1b[K")


async def test_pipe_has_a_line_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.capture.PIPE_PROGRESS_S", 0.0)
    messages = io.StringIO()
    await run(tmp_path / "x", messages=messages)

    assert messages.getvalue().splitlines()[1] == "Capturing, 0 s of 0.02 s left, 0 events"


async def test_interrupt_ends_early_and_keeps_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    captured = await run(path, duration_s=60, messages=Impatient())

    assert (captured.is_interrupted, captured.exit_code) == (True, 130)
    recording = await asyncio.to_thread(read_recording, path)
    assert "h-1" in recording.headers


async def test_unwritable_place_is_told_before_anything_is_collected(tmp_path: Path) -> None:
    collector = make_collector()
    with pytest.raises(FileNotFoundError):
        await run(tmp_path / "nowhere" / "x", collector=collector)

    assert collector.started == []


async def test_failure_leaves_no_file_and_stops_the_sensors(tmp_path: Path) -> None:
    collector = make_collector()
    collector.fault = ValueError("broken")
    with pytest.raises(ValueError, match="broken"):
        await run(tmp_path / "x", collector=collector)

    assert collector.stops == 1
    assert names_in(tmp_path) == []
