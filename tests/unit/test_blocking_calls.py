"""The detector of blocking calls works, and can be turned off by a marker."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from blockbuster import BlockingError

import rules

OURS = rules.__path__[0]


def _sleeper(folder: str) -> Callable[[], str]:
    """Return a function that blocks and whose code stands in the given folder."""
    source = "def nap():\n    clock.sleep(0)\n    return 'awake'\n"
    names: dict[str, Callable[[], str]] = {}
    exec(compile(source, f"{folder}/sleepy.py", "exec"), {"clock": time}, names)  # noqa: S102
    return names["nap"]


async def test_blocking_call_from_our_packages_fails() -> None:
    with pytest.raises(BlockingError, match=r"time\.sleep"):
        _sleeper(OURS)()


async def test_blocking_call_from_elsewhere_passes(tmp_path: Path) -> None:
    assert _sleeper(str(tmp_path))() == "awake"


@pytest.mark.allow_blocking
async def test_marker_allows_blocking() -> None:
    assert _sleeper(OURS)() == "awake"


def test_blocking_call_outside_the_loop_passes() -> None:
    assert _sleeper(OURS)() == "awake"
