"""Files of a host, and what may stand in their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.sensors.facts import host_files
from agent.sensors.facts.host_files import HostFiles, open_regular


def test_pipe_in_the_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    host = HostFiles(tmp_path)

    assert host.text("/pipe") is None
    assert list(host.lines("/pipe")) == []
    assert host.unreadable == {"/pipe"}


def test_file_that_is_not_there_is_not_unreadable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    host = HostFiles(tmp_path)

    assert host.text("/none") is None
    assert host.text("/file/below") is None
    assert host.access("/none") is None
    assert host.matching("/none/*") == []
    assert host.unreadable == set()


def test_folders_loops_and_large_files_are_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_files, "MAX_FILE_BYTES", 10)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "large").write_bytes(bytes(11))
    (tmp_path / "full").write_bytes(b"0123456789")
    host = HostFiles(tmp_path)

    assert [host.text(name) for name in ("/folder", "/loop", "/large", "/full")] == [
        None,
        None,
        None,
        "0123456789",
    ]
    assert host.unreadable == {"/folder", "/loop", "/large"}


def test_pattern_is_a_shell_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    for name in ("20-b.conf", "10-a.conf", ".hidden.conf", "old.conf~", "x.conf"):
        (folder / name).touch()
    host = HostFiles(tmp_path)

    assert host.matching("/conf.d/*.conf") == [
        "/conf.d/10-a.conf",
        "/conf.d/20-b.conf",
        "/conf.d/x.conf",
    ]
    assert host.matching("/c*/[^0-9]*.conf") == ["/conf.d/x.conf"]
    assert host.matching("/conf.d/.*.conf") == ["/conf.d/.hidden.conf"]
    assert host.matching("/conf.d/x.conf") == ["/conf.d/x.conf"]


def test_folder_that_cannot_be_listed_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf.d").mkdir()
    monkeypatch.setattr(Path, "iterdir", _refuse)
    host = HostFiles(tmp_path)

    assert host.matching("/conf.d/*.conf") == []
    assert host.unreadable == {"/conf.d"}


def _refuse(_: Path) -> None:
    raise PermissionError


def test_link_is_not_followed_where_it_must_not_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b""
    with (
        pytest.raises(OSError, match="regular"),
        open_regular(tmp_path / "link", flags=os.O_NOFOLLOW),
    ):
        pass


def test_long_lines_come_in_pieces_and_any_byte_is_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_files, "MAX_LINE_BYTES", 4)
    (tmp_path / "file").write_bytes(b"abcdef\n\xff\x85x\nlast")
    assert list(HostFiles(tmp_path).lines("/file")) == ["abcd", "ef", "\ufffd\ufffdx", "last"]
