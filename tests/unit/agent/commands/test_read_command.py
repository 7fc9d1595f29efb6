"""``proctor-agent read``: a capture file becomes a recording."""

import argparse
import io
from pathlib import Path

import pytest

from agent.cli import USAGE, main
from agent.commands.read import _Progress, network
from agent.correlate.sides import Sides
from agent.read import TrafficReader
from rules.telemetry import ManualClock
from rules.telemetry.recording import Recording, read_recording
from tests.client_hellos import CHROME, CHROME_JA4, client_record
from tests.packets import Talk, pcap, pcapng
from tests.tls_messages import message, record, tls13_hello
from tests.unit.agent.test_capture import Terminal

pytestmark = pytest.mark.allow_blocking

TALK = Talk().open().say(client_record(CHROME)).answer(record(message(2, tls13_hello()))).close()
FOREIGN = Talk(client=("203.0.113.5", 1), server=("203.0.113.6", 2)).open().close()


def read(folder: Path, content: bytes, *arguments: str) -> tuple[int, Recording]:
    path, out = folder / "web 1.pcap", folder / "out.ndjson.gz"
    path.write_bytes(content)
    code = main(["read", str(path), "--out", str(out), *arguments])
    return code, read_recording(out)


@pytest.mark.parametrize("content", [pcap(TALK.packets), pcapng(TALK.packets)])
def test_capture_becomes_a_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    code, recording = read(tmp_path, content)

    assert code == 0
    assert "3 events from 8 packets" in capsys.readouterr().err
    header = recording.headers["web-1"]
    assert (header.from_us, header.to_us) == (1_000_000, 1_007_001)
    assert {row["telemetry"] for row in recording.rows} <= set(header.kinds)
    (session,) = (row for row in recording.rows if row["telemetry"] == "tls_session")
    assert (session["ja4"], session["direction"]) == (CHROME_JA4, "outbound")
    ((agent_id, coverage),) = recording.coverage
    assert (agent_id, coverage.sensor, coverage.state) == ("web-1", "pcap_clients", "on")
    assert not coverage.lost


def test_local_addresses_tell_directions_and_whose_traffic_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packets = [*TALK.packets, *FOREIGN.packets]
    code, recording = read(
        tmp_path, pcap(packets), "--local", "10.0.0.2", "--local", "fd00::/8", "--agent-id", "s-1"
    )

    assert code == 0
    assert {row["direction"] for row in recording.rows} == {"inbound"}
    assert {row["agent_id"] for row in recording.rows} == {"s-1"}
    assert [row.sensor for _, row in recording.coverage] == ["pcap"]
    assert "neither end is local: 1" in capsys.readouterr().err


def test_cut_file_keeps_what_was_read_and_names_the_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = pcap([*TALK.packets, (2_000_000, b"lost")])
    code, recording = read(tmp_path, content[:-1])

    assert code == USAGE
    assert len(recording.rows) == 3
    assert f"from byte {len(content) - 20} on" in capsys.readouterr().err


def test_what_lacks_makes_coverage_degraded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = TALK.packets[4][1][:60]
    packets = [*TALK.packets[:4], (1_004_000, cut)]
    code, recording = read(tmp_path, pcap(packets))

    assert code == 0
    assert "not decoded: gap 1" in capsys.readouterr().err
    states = {row.kinds: (row.state, row.lost) for _, row in recording.coverage}
    assert states[("connection",)] == ("on", {})
    kinds = ("aws_call", "dns_answer", "imds_request", "tls_session")
    assert states[kinds] == ("degraded", {"gap": 1})


def test_empty_capture_is_an_empty_recording(tmp_path: Path) -> None:
    code, recording = read(tmp_path, pcap([]))

    assert code == 0
    assert recording.rows == []
    assert recording.headers["web-1"].to_us == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none.pcap"], "none.pcap: No such file"),
        (["none.pcap", "--agent-id", "no id"], "--agent-id no id: 1 to 128"),
    ],
)
def test_what_cannot_be_done_is_told(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["read", *arguments]) == USAGE
    assert told in capsys.readouterr().err


def test_file_that_is_no_capture_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = read(tmp_path, b"GIF89a")

    assert code == USAGE
    assert "neither pcap nor pcapng" in capsys.readouterr().err


def test_no_network_is_told() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write it like"):
        network("10.0.0.0/99")


@pytest.mark.parametrize("messages", [Terminal(), io.StringIO()], ids=["terminal", "pipe"])
def test_progress_is_told_now_and_then(messages: io.StringIO) -> None:
    clock = ManualClock()
    reader = TrafficReader(Path("x.pcap"), agent_id="a", sides=Sides())
    progress = _Progress(messages, clock, reader)
    progress.show(0.1)
    assert messages.getvalue() == ""
    clock.advance(11.0)
    progress.show(0.5)
    progress.end()

    assert "Reading, 50%, 0 packets" in messages.getvalue()
    assert messages.getvalue().endswith("\x1b[K" if messages.isatty() else "\n")
