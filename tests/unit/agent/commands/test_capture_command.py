"""Durations and refusals of ``proctor-agent capture``."""

import argparse
from pathlib import Path

import pytest

from agent.cli import USAGE, main
from agent.commands.capture import duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1500ms", 1.5), ("10s", 10), ("2m", 120), ("1h", 3600), ("1d", 86_400)],
)
def test_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "0s", "-1s", "1.5s", "s", "10 s", "1w"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="like 90s"):
        duration_s(text)


@pytest.mark.allow_blocking
def test_file_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gone" / "events.ndjson"
    given = ["--out", str(out), "--for", "1ms", "--state-dir", str(tmp_path), "--agent-id", "h-1"]
    assert main(["capture", *given]) == USAGE
    assert f"--out {out} cannot be written" in capsys.readouterr().err
