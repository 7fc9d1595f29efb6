"""Keys in a file that AWS's tools read, taken up while a server runs; calls written down."""

import asyncio
import logging
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.configloader import raw_config_parse

from analyzer.access import AccessKey, AuditLog, CredentialsFile, KeyRing, Role, new_key
from analyzer.access import ring as ring_module
from analyzer.errors import AccessError, AuditError

pytestmark = pytest.mark.allow_blocking  # tests change the file by themselves
HOUR_US = 3_600_000_000


@pytest.fixture
def file(tmp_path: Path) -> CredentialsFile:
    return CredentialsFile(tmp_path / "credentials")


def test_keys_look_like_those_of_aws() -> None:
    key, guest = new_key("proctor"), new_key("guest", expires_us=HOUR_US)

    assert (key.key_id[:4], len(key.key_id), len(key.secret)) == ("AKIA", 20, 40)
    assert (guest.key_id[:4], guest.token is None, key.token) == ("ASIA", False, None)
    assert key.secret not in repr(key)
    assert str(guest.token) not in repr(guest)


@pytest.mark.parametrize("name", ["", "a b", "a]", "-x", "a" * 65, "x\ny"])
def test_name_must_be_one_of_a_profile(name: str) -> None:
    with pytest.raises(AccessError, match="cannot name a key"):
        new_key(name)


def test_file_gives_back_what_was_written(file: CredentialsFile) -> None:
    keys = [
        new_key("proctor"),
        new_key("DEFAULT", role=Role.READ_ONLY),
        new_key("guest@x", expires_us=HOUR_US + 1),
    ]

    for key in keys:
        file.add(key, now_us=0)

    assert file.read() == tuple(keys)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_botocore_reads_the_file(file: CredentialsFile) -> None:
    key = new_key("guest", expires_us=HOUR_US)
    file.add(key, now_us=0)

    assert raw_config_parse(str(file.path))["guest"] == {
        "aws_access_key_id": key.key_id,
        "aws_secret_access_key": key.secret,
        "aws_session_token": key.token,
        "proctor_role": "full",
        "proctor_expires": datetime(1970, 1, 1, 1, tzinfo=UTC).isoformat(),
    }


def test_name_is_taken_once(file: CredentialsFile) -> None:
    file.add(new_key("proctor"), now_us=0)

    with pytest.raises(AccessError, match="revoke it first"):
        file.add(new_key("proctor"), now_us=0)


def test_name_of_a_key_that_has_ended_is_free(file: CredentialsFile) -> None:
    file.add(new_key("guest", expires_us=HOUR_US), now_us=0)
    second = new_key("guest", expires_us=3 * HOUR_US)

    file.add(second, now_us=HOUR_US)

    assert file.read() == (second,)


def test_revoked_key_is_gone(file: CredentialsFile) -> None:
    key = new_key("proctor")
    file.add(key, now_us=0)

    assert file.remove("proctor") == key
    assert file.read() == ()
    with pytest.raises(AccessError, match="no key is called"):
        file.remove("proctor")


def test_key_without_role_may_only_read(file: CredentialsFile) -> None:
    file.path.write_text("[x]\naws_access_key_id=a\naws_secret_access_key=b\n")

    assert file.read() == (AccessKey(name="x", key_id="a", secret="b", role=Role.READ_ONLY),)  # noqa: S106


@pytest.mark.parametrize(
    "text",
    [
        "no section",
        "[x]\naws_access_key_id = a\n",
        "[x]\naws_access_key_id=a\naws_secret_access_key=b\nproctor_role=root\n",
        "[x]\naws_access_key_id=a\naws_secret_access_key=b\nproctor_expires=soon\n",
        "[x]\na=1\n[x]\na=1\n",
    ],
)
def test_other_text_is_no_file_of_keys(file: CredentialsFile, text: str) -> None:
    file.path.write_text(text)

    with pytest.raises(AccessError, match="no credentials file"):
        file.read()


def test_what_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    file = CredentialsFile(tmp_path / "credentials")

    with pytest.raises(AccessError, match="cannot read"):
        file.read()
    with pytest.raises(AccessError, match="cannot write"):
        file._write([])
    with pytest.raises(AccessError, match="cannot write"):
        CredentialsFile(tmp_path / "nowhere" / "credentials").add(new_key("x"), now_us=0)


async def test_running_server_takes_changes_up(file: CredentialsFile) -> None:
    ring, first, second = KeyRing(file), new_key("a"), new_key("b")
    assert await ring.find(first.key_id) is None

    file.add(first, now_us=0)
    assert await ring.find(first.key_id) == first
    file.add(second, now_us=0)
    assert await ring.find(second.key_id) == second
    file.remove("a")
    await ring.refresh()

    assert ring.held(first.key_id) is None
    assert ring.held(second.key_id) == second


async def test_watched_file_is_taken_up(
    file: CredentialsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring_module, "LOOK_S", 0)
    ring, key = KeyRing(file), new_key("a")
    file.add(key, now_us=0)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        watching = group.create_task(ring.watch())
        while ring.held(key.key_id) is None:  # noqa: ASYNC110 (the ring says nothing by itself)
            await asyncio.sleep(0)
        watching.cancel()


async def test_damaged_file_changes_nothing(
    file: CredentialsFile, caplog: pytest.LogCaptureFixture
) -> None:
    ring, key = KeyRing(file), new_key("a")
    file.add(key, now_us=0)
    await ring.refresh()
    file.path.write_text("damaged")

    with caplog.at_level(logging.WARNING):
        await ring.refresh()
        await ring.refresh()

    assert ring.held(key.key_id) == key
    assert [record.message for record in caplog.records] == ["access.keys_unreadable"]


async def test_calls_are_written_one_a_line(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.ndjson")

    await log.write({"eventName": "A\nB"})
    log.path.rename(tmp_path / "older.ndjson")
    await log.write({"eventName": "C"})

    assert (tmp_path / "older.ndjson").read_text() == '{"eventName":"A\\nB"}\n'
    assert log.path.read_text() == '{"eventName":"C"}\n'
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


async def test_what_cannot_be_written_down_is_refused_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = AuditLog(tmp_path / "audit.ndjson")
    log.path.mkdir()

    for _ in range(2):
        with pytest.raises(AuditError, match=r"audit\.ndjson: Is a directory"):
            await log.require()
        with pytest.raises(AuditError):
            await log.write({})
    assert [record.message for record in caplog.records] == ["audit.failed"]

    log.path.rmdir()
    await log.require()
    await log.write({})
    assert log.path.read_text() == "{}\n"


async def test_room_for_lines_is_kept_beside_the_log(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.ndjson", reserve_bytes=8192)
    await log.require()
    await log.require()
    assert log.reserve.stat().st_size == 8192
    assert stat.S_IMODE(log.reserve.stat().st_mode) == 0o600


def test_keys_come_without_what_serves() -> None:
    """`proctor keys` starts fast: it needs neither botocore nor an HTTP server."""
    program = "import sys, analyzer.commands.keys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    ).stdout.split()
    assert {"botocore", "starlette", "uvicorn", "sqlalchemy"}.isdisjoint(loaded)


def test_first_key_is_written_once(file: CredentialsFile) -> None:
    first = new_key("proctor")

    assert file.begin(first)
    assert not file.begin(new_key("proctor"))
    assert file.read() == (first,)


def test_server_without_keys_gets_no_new_one(file: CredentialsFile) -> None:
    file.begin(new_key("proctor"))
    file.remove("proctor")

    assert not file.begin(new_key("proctor"))
