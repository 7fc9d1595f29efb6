"""The detector of blocking calls works, and can be turned off by a marker."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from blockbuster import BlockingError

import rules


def _sleeper(folder: str) -> Callable[[], None]:
    """Return a function that blocks and whose code stands in the given folder."""
    names: dict[str, Callable[[], None]] = {}
    code = compile("def nap():\n    sleep(0)\n", f"{folder}/sleepy.py", "exec")
    exec(code, {"sleep": lambda seconds: time.sleep(seconds)}, names)  # noqa: S102, PLW0108
    return names["nap"]


async def test_blocking_call_from_our_packages_fails() -> None:
    nap = _sleeper(rules.__path__[0])
    with pytest.raises(BlockingError, match=r"time\.sleep"):
        nap()


async def test_blocking_call_from_elsewhere_passes(tmp_path: Path) -> None:
    _sleeper(str(tmp_path))()


@pytest.mark.allow_blocking
async def test_marker_allows_blocking() -> None:
    _sleeper(rules.__path__[0])()


def test_blocking_call_outside_the_loop_passes() -> None:
    _sleeper(rules.__path__[0])()
