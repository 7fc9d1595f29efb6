"""The broker's program: a nats-server that is new enough, from where it may be installed.

In: a path, or nothing. Out: the path and version of a program, or an error that names the remedy.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from analyzer.errors import BrokerError

NAME = "nats-server"
OLDEST = (2, 9, 0)  # the first whose MQTT kept every acknowledged message in our tests
_VERSION_TIMEOUT_S = 10.0
_REMEDY = (
    "Install one with `pip install 'proctor[analyzer]'` or `apt install nats-server`, or name its "
    "path in the settings."
)


class BrokerBinary(NamedTuple):
    """A program that can be the broker."""

    path: Path
    version: tuple[int, int, int]


def find_binary(explicit: Path | None = None) -> BrokerBinary:
    """Return the broker's program: the one named, else from PATH, the wheel or Debian's package.

    Blocks while the program tells its version.

    Raises:
        BrokerError: There is none, or none that is new enough.
    """
    candidates = _installed() if explicit is None else iter([explicit])
    return choose_binary(candidates)


def choose_binary(candidates: Iterator[Path] | Sequence[Path]) -> BrokerBinary:
    """Return the first program that is new enough.

    Raises:
        BrokerError: None is; the message says what is wrong with each.
    """
    problems = []
    for path in candidates:
        try:
            binary = BrokerBinary(path, _version_of(path))
        except BrokerError as error:
            problems.append(str(error))
            continue
        if binary.version >= OLDEST:
            return binary
        problems.append(f"{path} is {_text(binary.version)}, older than {_text(OLDEST)}")
    why = "; ".join(problems) or f"no {NAME} is installed"
    raise BrokerError(f"The embedded broker cannot start: {why}. {_REMEDY}")


def _installed() -> Iterator[Path]:
    """Yield PATH's, then the wheel's beside this Python, then Debian's, which PATH may lack."""
    folders = [Path(sys.executable).parent, Path("/usr/sbin")]
    for path in (None, *map(str, folders)):
        found = shutil.which(NAME, path=path)
        if found is not None:
            yield Path(found)


def _version_of(path: Path) -> tuple[int, int, int]:
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_VERSION_TIMEOUT_S,
        )
    except OSError as error:
        raise BrokerError(f"{path} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise BrokerError(f"{path} did not tell its version") from error
    match = re.search(r"nats-server: v(\d+)\.(\d+)\.(\d+)", done.stdout)
    if match is None:
        raise BrokerError(f"{path} is no {NAME}")
    return int(match[1]), int(match[2]), int(match[3])


def _text(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))
