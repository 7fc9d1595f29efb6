"""Doctor: what works on this host, what cannot be seen, and the remedy for each problem.

In: settings and the sensors' reports. Out: checks, as a table for people or as JSON.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import ssl
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from agent.collect import SensorReport
    from agent.config import Settings
    from rules.telemetry.clock import Clock

Verdict = Literal["ok", "warning", "problem"]

OLDEST_CLOCK_US: Final = 1_735_689_600_000_000  # 2025-01-01: before this program was written
_BROKER_UNREACHABLE: Final = 4
_TIMEX_BYTES: Final = 1_024  # more than struct timex has anywhere
_TIME_ERROR: Final = 5  # what adjtimex returns while the clock is not synchronised
_NAME_WIDTH: Final = 13  # two more than the longest name has
_VERDICT_WIDTH: Final = 9


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""
    blind_spots: tuple[str, ...] = ()


async def diagnose(
    settings: Settings,
    *,
    clock: Clock,
    reports: Iterable[SensorReport],
    is_synchronised: Callable[[], bool | None] | None = None,
) -> list[Check]:
    """Look at sensors, broker, spool folder and clock.

    Args:
        settings: The agent's settings.
        clock: The agent's clock.
        reports: What the collector says of its sensors.
        is_synchronised: Tells whether the host keeps its clock right; None = it does not say.
    """
    return [
        *map(_check_sensor, reports),
        await _check_broker(settings),
        await asyncio.to_thread(_check_folder, settings),
        _check_clock(clock.now_us(), (is_synchronised or read_clock_state)()),
    ]


def exit_code(checks: Iterable[Check]) -> int:
    """Return 4 if the broker cannot be reached, 2 for any other problem, else 0."""
    problems = {check.name for check in checks if check.verdict == "problem"}
    if "broker" in problems:
        return _BROKER_UNREACHABLE
    return 2 if problems else 0


def to_json(checks: Sequence[Check]) -> bytes:
    """Return the checks as JSON, with a newline."""
    return msgspec.json.encode({"format": 1, "checks": checks}) + b"\n"


def to_table(checks: Iterable[Check], *, width: int | None = None) -> str:
    """Return the checks as text for a terminal, ``width`` columns wide."""
    columns = width or shutil.get_terminal_size().columns
    return "\n".join(line for check in checks for line in _lines(check, columns)) + "\n"


def read_clock_state() -> bool | None:
    """Return whether the kernel says that the clock is synchronised; None if it says nothing.

    Source: adjtimex(2).
    """
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR


def _lines(check: Check, columns: int) -> list[str]:
    texts = [check.detail]
    if check.remedy:
        texts.append(f"Remedy: {check.remedy}")
    texts += [f"Blind spot: {spot}" for spot in check.blind_spots]
    head = f"{check.verdict:<{_VERDICT_WIDTH}}{check.name:<{_NAME_WIDTH}}"
    indent = " " * len(head)
    lines: list[str] = []
    for text in texts:
        lines += textwrap.wrap(
            text,
            max(columns, len(head) + 20),
            initial_indent=indent if lines else head,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _check_sensor(report: SensorReport) -> Check:
    kinds = ", ".join(report.kinds)
    detail = f"{report.state} for {kinds}"
    if report.method:
        detail += f": {report.method}"
    if report.reason:
        detail += f"; {report.reason}"
    verdict: Verdict = "ok" if report.state == "on" and not report.reason else "warning"
    return Check(report.name, verdict, f"{detail}.", report.remedy, report.blind_spots)


async def _check_broker(settings: Settings) -> Check:
    url = settings.broker_url
    try:
        context = await asyncio.to_thread(_tls_context, settings) if settings.is_tls else None
        async with asyncio.timeout(settings.connect_timeout_s):
            host, port = settings.broker_address
            _, writer = await asyncio.open_connection(host, port, ssl=context)
        writer.close()
        await writer.wait_closed()
    except ssl.SSLError as error:
        remedy = "Compare broker_ca_file, broker_cert_file and broker_key_file with the broker's."
        return Check("broker", "problem", f"{url}: TLS fails: {error}.", remedy)
    except OSError as error:  # a timeout is one too
        why = os.strerror(error.errno) if error.errno else str(error) or "no answer in time"
        remedy = "Start the broker (`proctor serve`), or set broker_url to where it runs."
        return Check("broker", "problem", f"{url} cannot be reached: {why}.", remedy)
    return Check("broker", "ok", f"{url} accepts connections.")


def _tls_context(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.broker_ca_file or None)
    if settings.broker_cert_file:
        context.load_cert_chain(settings.broker_cert_file, settings.broker_key_file)
    return context


def _check_folder(settings: Settings) -> Check:
    folder = Path(settings.state_dir)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"doctor")
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        remedy = f"`sudo install -d -m 700 -o $(id -un) {folder}`, or set state_dir."
        return Check("spool", "problem", f"{folder} cannot be written: {why}.", remedy)
    if free_bytes < settings.spool_max_bytes:
        detail = f"{folder} has {free_bytes:,} bytes left; the spool may take more."
        remedy = f"Free space, or set spool_max_bytes below {free_bytes:,}."
        return Check("spool", "warning", detail, remedy)
    return Check("spool", "ok", f"{folder} can be written.")


def _check_clock(now_us: int, is_synchronised: bool | None) -> Check:  # noqa: FBT001
    remedy = "`sudo timedatectl set-ntp true`, or run another time service."
    if now_us < OLDEST_CLOCK_US:
        return Check("clock", "problem", "The clock is years behind.", remedy)
    if is_synchronised is None:
        return Check("clock", "ok", "The kernel does not say whether the clock is synchronised.")
    if not is_synchronised:
        return Check("clock", "warning", "The clock is not synchronised.", remedy)
    return Check("clock", "ok", "The clock is synchronised.")
