"""Evidence on a terminal: the decisive events of a finding, one a line.

In: rows as they stand in a finding. Out: text; columns that say the same for every event of the
finding's group are not repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from analyzer.words import printable, process_text, time_text
from rules.telemetry.fact_kinds import HOST_KINDS
from rules.telemetry.kinds import KINDS, PROCESS_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from analyzer.results.findings import Finding

_PLAIN: Final = ("direction", "protocol", "state", "tls_version", "handshake")
"""Columns whose values speak for themselves."""
_TOLD: Final = frozenset(
    {
        "telemetry",
        "ts_us",
        "agent_id",
        *(column.name for column in PROCESS_COLUMNS),
        *_PLAIN,
        "local_address",
        "local_port",
        "remote_address",
        "remote_port",
        "attribution",
        "source",
    }
)
"""Columns that are shown by position, or that stand in the finding anyway."""
_TIMES: Final = frozenset({"cert_not_before_us", "cert_not_after_us"})


def evidence_lines(finding: Finding, most: int) -> Iterator[str]:
    """Yield one line per event, at most ``most``, from the beginning and the end."""
    rows = finding.evidence
    if len(rows) > most:
        head, tail = rows[: most - most // 2], rows[len(rows) - most // 2 :]
    else:
        head, tail = rows[: (len(rows) + 1) // 2], rows[(len(rows) + 1) // 2 :]
    between = max(finding.count, len(rows)) - len(head) - len(tail)
    for row in head:
        yield event_line(row)
    if between:
        yield f"… {between:,} more …"
    for row in tail:
        yield event_line(row)


def event_line(row: Mapping[str, Any]) -> str:
    """Return one event: time, kind, what happened, between whom, by which process."""
    parts = [time_text(row["ts_us"]), row["telemetry"]]
    parts += [str(row[name]) for name in _PLAIN if name in row]
    parts += _endpoints(row)
    parts += [f"{name}={_value(name, row[name])}" for name in sorted(row) if _is_own(row, name)]
    who = process_text([row])
    grade = row.get("attribution")
    if row["telemetry"] not in HOST_KINDS:
        parts.append(f"by {who}" + (f" ({grade})" if grade else ""))
    return "  ".join(parts)


def _endpoints(row: Mapping[str, Any]) -> list[str]:
    local = _endpoint(row.get("local_address"), row.get("local_port"))
    remote = _endpoint(row.get("remote_address"), row.get("remote_port"))
    if local and remote:
        arrow = "←" if row.get("direction") == "inbound" else "→"
        return [f"{local} {arrow} {remote}"]
    return [end for end in (local, remote) if end]


def _endpoint(address: str | None, port: int | None) -> str:
    if address is None:
        return "" if port is None else f"port {port}"
    if port is None:
        return printable(address)
    return f"[{printable(address)}]:{port}" if ":" in address else f"{printable(address)}:{port}"


def _is_own(row: Mapping[str, Any], name: str) -> bool:
    if name in _TOLD:
        return False
    column = KINDS[row["telemetry"]].columns.get(name)
    return column is None or not column.name.endswith("_scope")


def _value(name: str, value: object) -> str:
    if name in _TIMES and isinstance(value, int):
        return time_text(value)[:10]
    if isinstance(value, bool):
        return str(value).lower()
    text = printable(str(value))
    return f'"{text}"' if " " in text else text
