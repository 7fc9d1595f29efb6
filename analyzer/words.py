"""Words: how numbers, times, names and rows read in a sentence or a cell.

In: plain values, some of them chosen by whoever runs on an assessed host. Out: text that is safe
to print.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rules.telemetry.fact_kinds import HOST_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rules.columns import Value

UNITS: Final = {
    "connection": "connection event",
    "listener": "listener event",
    "tls_session": "TLS session",
    "aws_call": "AWS call",
    "imds_request": "request",
    "dns_answer": "DNS answer",
    "process": "process event",
    "executable": "executable",
    "loaded_module": "module",
}
"""What one row of a kind is called."""
_SEVERITY_STYLES: Final = {
    "High": "bold red",
    "Medium": "yellow",
    "Low": "cyan",
    "Informational": "dim",
}


def printable(text: str) -> str:
    """Return ``text`` without control characters: a process name must not steer a terminal."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def plain(text: str) -> str:
    """Return text of several lines as one line that is safe to print."""
    return printable(" ".join(text.split()))


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 rule``, ``2 rules``, ``1,000 rules``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float) -> str:
    """Return a share in percent, cut to one digit so that it never looks larger than it is."""
    tenths = round(share * 1_000_000) // 1_000
    return f"{tenths // 10}.{tenths % 10} %" if tenths % 10 else f"{tenths // 10} %"


def minutes(seconds: float) -> str:
    """Return a span as ``0:38`` or ``1:02:03``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    if hours:
        return f"{hours}:{rest // 60:02}:{rest % 60:02}"
    return f"{rest // 60}:{rest % 60:02}"


def span(seconds: float) -> str:
    """Return a span in words, such as ``2 minutes`` or ``45 seconds``."""
    whole = round(seconds)
    for size, noun in ((3600, "hour"), (60, "minute")):
        if whole >= size and whole % size == 0:
            return counted(whole // size, noun)
    return counted(whole, "second") if whole < 3600 else minutes(whole)  # noqa: PLR2004 (an hour)


def listed(words: Sequence[str], *, most: int = 4) -> str:
    """Return ``a, b, c`` or ``a, b, c and 9 more``."""
    if len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[: most - 1])} and {len(words) - most + 1} more"


def value_text(value: Value | None) -> str:
    """Return the value of a group's column as text; null is ``null``."""
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else printable(str(value))


def group_text(group: Mapping[str, Value | None]) -> str:
    """Return a finding's group as ``column=value; column=value``."""
    return "; ".join(f"{name}={value_text(value)}" for name, value in group.items())


def severity_style(severity: str) -> str:
    """Return the rich style of a severity."""
    return _SEVERITY_STYLES.get(severity, "")


def process_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return whose doing rows are: ``telnet [5120]``, and how many processes more.

    What is about the host as a whole is nobody's: ``-``.
    """
    rows = list(rows)
    seen = dict.fromkeys((row.get("process_name"), row.get("pid")) for row in rows)
    known = [pair for pair in seen if pair != (None, None)]
    if not known:
        return "-" if rows and all(_is_of_host(row) for row in rows) else "unknown"
    name, pid = known[0]
    text = printable(str(name or "unknown")) + (f" [{pid}]" if pid is not None else "")
    return f"{text} +{len(known) - 1}" if len(known) > 1 else text


def _is_of_host(row: Mapping[str, Any]) -> bool:
    return row.get("telemetry") in HOST_KINDS


def time_text(ts_us: int) -> str:
    """Return a moment as UTC date and time, to the millisecond."""
    try:
        moment = datetime.fromtimestamp(ts_us // 1_000_000, UTC)
    except (OverflowError, ValueError, OSError):  # a recording may claim any 64 bit number
        return f"{ts_us} us"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{ts_us // 1000 % 1000:03}"
