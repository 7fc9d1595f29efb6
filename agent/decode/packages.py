"""Packages: what the databases of dpkg and rpm list as installed.

In: the lines of dpkg's status file, or one header of rpm's database. Out: packages. Source:
deb-control(5), dpkg(1); rpm's header format: count of entries, size of data, entries of tag, type,
offset and count, then the data.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_FIELDS: Final = frozenset({"Architecture", "Package", "Status", "Version"})
_INSTALLED: Final = frozenset({"installed", "triggers-awaited", "triggers-pending"})
_NAME, _VERSION, _RELEASE, _EPOCH, _ARCHITECTURE = 1000, 1001, 1002, 1003, 1022
_TEXT_TYPES: Final = (6, 9)  # a string, a translated string
_INT32: Final = 4
_ENTRY: Final = struct.Struct(">IIiI")
_SIZES: Final = struct.Struct(">II")
_MAX_ENTRIES: Final = 65_535
_MAX_TEXT_BYTES: Final = 4_096


class Package(NamedTuple):
    """One installed package."""

    name: str
    version: str
    architecture: str | None


def read_dpkg_status(lines: Iterable[str]) -> Iterator[Package]:
    """Yield the installed packages of a dpkg status file, in its order."""
    for fields in _paragraphs(lines):
        # Files below status.d, of images without dpkg, have no Status line.
        state = fields.get("Status", "installed").rpartition(" ")[2]
        if state in _INSTALLED and "Package" in fields and "Version" in fields:
            yield Package(fields["Package"], fields["Version"], fields.get("Architecture"))


def read_rpm_header(data: bytes) -> Package | None:
    """Return the package that a header of rpm's database describes; None where it is none."""
    try:
        values = _rpm_values(data)
    except (struct.error, ValueError):
        return None
    name, version = values.get(_NAME), values.get(_VERSION)
    if not name or not version:
        return None
    release = values.get(_RELEASE)
    epoch = values.get(_EPOCH)
    full = f"{version}-{release}" if release else version
    return Package(name, f"{epoch}:{full}" if epoch else full, values.get(_ARCHITECTURE))


def _paragraphs(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if not line.strip():
            yield fields
            fields = {}
        elif name in _FIELDS:
            fields[name] = value.strip()
    yield fields


def _rpm_values(data: bytes) -> Mapping[int, str]:
    count, size = _SIZES.unpack_from(data)
    start = _SIZES.size + count * _ENTRY.size
    if count > _MAX_ENTRIES or start + size > len(data):
        raise ValueError
    values: dict[int, str] = {}
    for place in range(count):
        tag, kind, offset, _ = _ENTRY.unpack_from(data, _SIZES.size + place * _ENTRY.size)
        at = start + offset
        if kind in _TEXT_TYPES and start <= at < len(data):
            end = data.index(b"\0", at, at + _MAX_TEXT_BYTES)
            values[tag] = data[at:end].decode("utf-8", "replace")
        elif tag == _EPOCH and kind == _INT32:
            values[tag] = str(struct.unpack_from(">i", data, at)[0])
    return values
