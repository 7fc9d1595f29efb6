"""Tags and attributes: a key and a value, and which hosts a tag selector takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, order=True)
class Tag:
    """A key and its value: a tag of a host or template, or an attribute of a finding.

    Without value it selects hosts that have the key, whatever its value.
    """

    key: str
    value: str | None = None


def selects(selector: Iterable[Tag], tags: Mapping[str, str]) -> bool:
    """Tell whether a host with these tags is selected: by any pair, or because there is none."""
    pairs = list(selector)
    return not pairs or any(
        pair.key in tags and pair.value in (None, tags[pair.key]) for pair in pairs
    )
