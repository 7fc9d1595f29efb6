"""Derived columns: made once, at ingest, from what the sensor sent.

In: a row without them. Out: the same row, in place, with scopes and remaining validity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.telemetry.kinds import KINDS
from rules.telemetry.scope import scope_of

if TYPE_CHECKING:
    from rules.telemetry.batch import Row

_SECOND_US = 1_000_000
_SCOPED: dict[str, tuple[tuple[str, str], ...]] = {
    kind.name: tuple(
        (side + "_address", side + "_scope")
        for side in ("local", "remote")
        if side + "_scope" in kind.columns
    )
    for kind in KINDS.values()
}


def derive(row: Row) -> Row:
    """Add the derived columns to ``row`` and return it.

    A value that was given counts only where the column it is made from is null.
    """
    for address_column, scope_column in _SCOPED[row["telemetry"]]:
        address = row.get(address_column)
        if address is None:
            continue
        scope = scope_of(address)
        if scope is None:
            row.pop(scope_column, None)
        else:
            row[scope_column] = scope
    not_after_us = row.get("cert_not_after_us")
    if not_after_us is not None:
        row["cert_remaining_s"] = (not_after_us - row["ts_us"]) // _SECOND_US
    return row
