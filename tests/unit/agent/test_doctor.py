import asyncio
import ctypes
import errno
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.config import Settings
from agent.crew import SensorReport
from agent.doctor import (
    OLDEST_CLOCK_US,
    Check,
    diagnose,
    exit_code,
    read_clock_state,
    to_json,
    to_table,
)
from rules.telemetry import ManualClock
from tests.certificates import write_pair

GOOD = SensorReport("sock_diag", ("connection", "listener"), "on", "dumps", "", "", ("No UDP.",))
BAD = SensorReport("probe", ("tls_session",), "off", "", "it is broken", "mend it", ())


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    def ignore(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(ignore, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def check(
    name: str,
    tmp_path: Path,
    *,
    reports: Iterable[SensorReport] = (),
    now_us: int = OLDEST_CLOCK_US,
    is_synchronised: bool | None = True,
    **settings: Any,  # noqa: ANN401
) -> Check:
    given = {"broker_url": "mqtt://127.0.0.1:1", "state_dir": str(tmp_path), **settings}
    checks = await diagnose(
        Settings(**given),
        clock=ManualClock(now_us),
        reports=reports,
        is_synchronised=lambda: is_synchronised,
    )
    (found,) = [each for each in checks if each.name == name]
    return found


@pytest.mark.parametrize(
    ("report", "verdict", "detail"),
    [
        (GOOD, "ok", "on for connection, listener: dumps."),
        (BAD, "warning", "off for tls_session; it is broken."),
    ],
)
async def test_sensor_is_told_with_remedy_and_blind_spots(
    report: SensorReport, verdict: str, detail: str, tmp_path: Path
) -> None:
    found = await check(report.name, tmp_path, reports=[report])

    assert (found.verdict, found.detail) == (verdict, detail)
    assert (found.remedy, found.blind_spots) == (report.remedy, report.blind_spots)


async def test_sensor_that_is_on_but_lacks_something_is_a_warning(tmp_path: Path) -> None:
    report = SensorReport("sock_diag", ("listener",), "on", "dumps", "owners are hidden", "x", ())

    assert (await check("sock_diag", tmp_path, reports=[report])).verdict == "warning"


async def test_broker_that_answers_is_fine(tmp_path: Path) -> None:
    async with serving() as port:
        found = await check("broker", tmp_path, broker_url=f"mqtt://127.0.0.1:{port}")

    assert found.verdict == "ok"


async def test_broker_that_refuses_is_a_problem(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    found = await check("broker", tmp_path, broker_url=f"mqtt://127.0.0.1:{port}")

    assert found.verdict == "problem"
    assert "cannot be reached: Connection refused" in found.detail
    assert "proctor serve" in found.remedy


async def test_broker_that_says_nothing_in_time_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio, "open_connection", hang)
    found = await check("broker", tmp_path, connect_timeout_s=0.01)

    assert found.detail.endswith("cannot be reached: no answer in time.")


async def test_broker_with_an_untrusted_certificate_is_a_problem(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    await asyncio.to_thread(lambda: context.load_cert_chain(*write_pair(tmp_path, "rsa-2048")))
    async with serving(context) as port:
        found = await check("broker", tmp_path, broker_url=f"mqtts://127.0.0.1:{port}")

    assert found.verdict == "problem"
    assert "TLS fails" in found.detail
    assert "broker_ca_file" in found.remedy


async def test_missing_certificate_of_the_agent_is_a_problem(tmp_path: Path) -> None:
    found = await check(
        "broker",
        tmp_path,
        broker_url="mqtts://127.0.0.1:1",
        broker_cert_file="/none.pem",
        broker_key_file="/none.key",
    )

    assert "No such file or directory" in found.detail


async def test_spool_folder_is_made_and_tried(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    found = await check("spool", tmp_path, state_dir=str(folder))

    assert (found.verdict, found.detail) == ("ok", f"{folder} can be written.")


async def test_spool_folder_without_rights_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(Path, "mkdir", refuse)
    found = await check("spool", tmp_path)

    assert (found.verdict, found.detail) == (
        "problem",
        f"{tmp_path} cannot be written: Permission denied.",
    )
    assert found.remedy.startswith("`sudo install -d")


async def test_too_little_room_for_the_spool_is_a_warning(tmp_path: Path) -> None:
    found = await check("spool", tmp_path, spool_max_bytes=1 << 40)

    assert (found.verdict, found.remedy[:11]) == ("warning", "Free space,")


@pytest.mark.parametrize(
    ("now_us", "is_synchronised", "verdict"),
    [
        (OLDEST_CLOCK_US, True, "ok"),
        (OLDEST_CLOCK_US, None, "ok"),
        (OLDEST_CLOCK_US, False, "warning"),
        (OLDEST_CLOCK_US - 1, True, "problem"),
    ],
)
async def test_clock(
    now_us: int, *, is_synchronised: bool | None, verdict: str, tmp_path: Path
) -> None:
    found = await check("clock", tmp_path, now_us=now_us, is_synchronised=is_synchronised)

    assert found.verdict == verdict
    assert bool(found.remedy) == (verdict != "ok")


@pytest.mark.parametrize(("answer", "expected"), [(0, True), (5, False), (-1, None)])
def test_kernel_tells_whether_the_clock_is_kept_right(
    answer: int, *, expected: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Library:
        def __init__(self, _: None) -> None:
            self.adjtimex: Callable[[object], int] = lambda _: answer

    monkeypatch.setattr(ctypes, "CDLL", Library)
    assert read_clock_state() is expected


def test_system_without_adjtimex_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert read_clock_state() is None


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([Check("spool", "ok", ""), Check("probe", "warning", "")], 0),
        ([Check("spool", "problem", "")], 2),
        ([Check("spool", "problem", ""), Check("broker", "problem", "")], 4),
    ],
)
def test_exit_code_follows_the_worst_problem(checks: list[Check], code: int) -> None:
    assert exit_code(checks) == code


def test_table_fits_the_terminal() -> None:
    checks = [
        Check("sshd_config", "ok", "on for setting: file.", "", ("This is not seen here.",)),
        Check("broker", "problem", "It is down.", "Start it."),
    ]

    assert to_table(checks, width=44) == (
        "ok       sshd_config  on for setting: file.\n"
        "                      Blind spot: This is\n"
        "                        not seen here.\n"
        "problem  broker       It is down.\n"
        "                      Remedy: Start it.\n"
    )


def test_json_has_every_field() -> None:
    text = to_json([Check("broker", "problem", "It is down.", "Start it.", ("x",))])

    assert text.endswith(b"\n")
    assert json.loads(text) == {
        "format": 1,
        "checks": [
            {
                "name": "broker",
                "verdict": "problem",
                "detail": "It is down.",
                "remedy": "Start it.",
                "blind_spots": ["x"],
            }
        ],
    }
