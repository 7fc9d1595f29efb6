"""Judged: what a verdict was made from, kept beside the log so that it can be made again.

In: an ended run's document of its sources, and its rules packages. Out: ``judged.json`` and a copy
of the rule files in the run's folder, durable before the result is; and the same, read back.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from analyzer.errors import JudgedError
from analyzer.results.document import RunInfo
from analyzer.timeline.takings import LateBatches, SegmentTaken
from rules.format import digest_of
from rules.loader import MANIFEST, load_packages
from rules.telemetry.ndjson import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.loader import Package, Source

_NAME: Final = "judged.json"
_RULES: Final = "rules"


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What one verdict was made from.

    Attributes:
        run: The run as its result names it, with its digests.
        duration_s: How long it was to last.
        max_groups: Findings of one rule on one host.
        hosts: Every host of the run, and its name where it is known.
        segments: How much of each file of the log was taken.
        late: Batches that came too late.
    """

    format: Literal[1]
    run: RunInfo
    duration_s: int
    max_groups: int | None
    hosts: dict[str, str | None]
    segments: tuple[SegmentTaken, ...]
    late: tuple[LateBatches, ...]


def settings_digest(*, duration_s: int | None, max_groups: int | None) -> str:
    """Return the hash of the settings that a run is judged by."""
    return digest_of({"duration_s": duration_s, "max_groups": max_groups})


def keep(folder: Path, judged: Judged, packages: Iterable[Package]) -> None:
    """Write both into a run's folder; they are durable when this returns.

    Raises:
        JudgedError: They cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _keep_rules(folder, packages)
        draft = folder / f"{_NAME}.new"
        _write(draft, canonical(msgspec.to_builtins(judged)) + b"\n")
        draft.replace(folder / _NAME)
        _sync(folder)
    except OSError as error:
        raise JudgedError(folder, f"cannot be written: {error.strerror or error}") from error


def read_judged(folder: Path) -> Judged | None:
    """Return what the verdict of a run was made from; None where the folder does not say.

    Raises:
        JudgedError: It cannot be read.
    """
    try:
        return msgspec.json.decode((folder / _NAME).read_bytes(), type=Judged)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise JudgedError(folder / _NAME, f"cannot be read: {error}") from error


def read_rules(folder: Path) -> list[Package] | None:
    """Return the rules packages that a run was judged by; None where there is no copy.

    Raises:
        RuleFileError: The copy is damaged, or this version reads it no more.
    """
    try:
        found = sorted(path for path in (folder / _RULES).iterdir() if path.is_dir())
    except FileNotFoundError:
        return None
    packages = [package for path in found for package in load_packages(path)]
    return sorted(packages, key=lambda package: package.id)


def _keep_rules(folder: Path, packages: Iterable[Package]) -> None:
    draft = folder / f"{_RULES}.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for package in packages:
        place = draft / package.id
        place.mkdir()
        if package.source is not None:
            _write(place / MANIFEST, package.source.data)
        for source in package.sources.values():
            _write(place / _file_name(source), source.data)
        _sync(place)
    _sync(draft)
    kept = folder / _RULES
    shutil.rmtree(kept, ignore_errors=True)  # of a verdict that was not stored any more
    draft.replace(kept)


def _file_name(source: Source) -> str:
    return Path(source.path).name


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
