"""Captures of real traffic, which stand beside the repository and are never copied into it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent.decode.capture_file import CaptureFile
from agent.decode.facts import Fact
from agent.decode.traffic import Traffic

_BESIDE = Path(__file__).parents[2] / "shared" / "corpora"


def corpora() -> Path:
    """Return the folder of captures; skip the test where there is none."""
    folder = Path(os.environ.get("PROCTOR_CORPORA") or _BESIDE)
    if not folder.is_dir():
        pytest.skip("no recorded traffic here: PROCTOR_CORPORA names no folder of captures")
    return folder


def load_json(path: Path) -> Any:  # noqa: ANN401 (any JSON value)
    return json.loads(path.read_text())


def facts_of(path: Path) -> list[Fact]:
    """Return what the decoders make of a capture file."""
    traffic = Traffic()
    last_us = 0
    with CaptureFile(path) as file:
        for frame in file.frames():
            traffic.add(frame.data, frame.link, frame.ts_us)
            last_us = max(last_us, frame.ts_us)
    traffic.end(last_us)
    assert not traffic.lost
    return traffic.drain()
