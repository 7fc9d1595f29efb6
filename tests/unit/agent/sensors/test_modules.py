"""What processes run and have loaded, by a /proc made here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.sensors.facts import modules
from agent.sensors.facts.host_files import Fact
from agent.sensors.facts.modules import Hidden, ModuleReader
from agent.sensors.processes import ProcessTable
from rules.telemetry import ManualClock

KINDS = frozenset({"executable", "loaded_module"})
STAT = "{pid} ({name}) S 1 " + " ".join(["0"] * 17) + " 5 0"


class Host:
    """Processes that all see one folder as their root, each with a mount namespace of its own."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.files = folder / "proc", folder / "files"
        self.files.mkdir(parents=True)
        self.files.chmod(0o755)
        self.proc.mkdir()
        (self.proc / "stat").write_text("btime 1700000000\n")
        self.reader: ModuleReader | None = None

    def file(self, path: str | bytes, *, mode: int = 0o644) -> Path:
        place = self.files / os.fsdecode(path).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"\x7fELF")
        place.chmod(mode)
        return place

    def process(self, pid: int, program: str, *maps: str | bytes, root: Path | None = None) -> Path:
        folder = self.proc / str(pid)
        (folder / "ns").mkdir(parents=True)
        (folder / "ns/mnt").touch()
        (folder / "stat").write_text(STAT.format(pid=pid, name=program.rpartition("/")[2]))
        (folder / "status").write_text("Name:\tx\nUid:\t0\t0\t0\t0\n")
        (folder / "cgroup").touch()
        (folder / "exe").symlink_to(program)
        (folder / "root").symlink_to(root or self.files)
        lines = (b"7f00-7fff r-xp 00000000 08:01 7 " + os.fsencode(path) + b"\n" for path in maps)
        (folder / "maps").write_bytes(b"".join(lines))
        return folder

    def read(self) -> list[Fact]:
        if self.reader is None:
            table = ProcessTable(self.proc, clock=ManualClock())
            self.reader = ModuleReader(table, root=str(self.proc))
        return list(self.reader.read(KINDS))

    def modules(self) -> dict[object, object]:
        return {
            fact.values["path"]: fact.values["writable_by_others"]
            for fact in self.read()
            if fact.kind == "loaded_module"
        }


@pytest.fixture
def host(tmp_path: Path) -> Host:
    if os.geteuid() != 0:
        pytest.skip("only root can make files of root")
    return Host(tmp_path)


def test_who_may_change_a_module_or_what_it_stands_in(host: Host) -> None:
    host.file("/lib/good.so")
    host.file("/lib/bad.so", mode=0o666)
    host.file("/open/sub/by_folder.so")
    (host.files / "open").chmod(0o777)
    host.file("/sticky/module.so")
    (host.files / "sticky").chmod(0o1777)
    os.chown(host.file("/lib/theirs.so"), 1000, 1000)
    host.process(
        1,
        "/bin/first",
        *("/lib/good.so", "/lib/bad.so", "/open/sub/by_folder.so", "/sticky/module.so"),
        *("/lib/theirs.so", "/bin/first", "/lib/gone.so (deleted)", "[vdso]"),
    )
    assert host.modules() == {
        "/lib/good.so": False,
        "/lib/bad.so": True,
        "/open/sub/by_folder.so": True,
        "/sticky/module.so": False,
        "/lib/theirs.so": True,
    }
    assert host.reader is not None
    assert host.reader.hidden == Hidden(0, 0, 1)


def test_module_of_a_container_is_not_taken_for_the_hosts(host: Host, tmp_path: Path) -> None:
    """The same path and process name, in two mount namespaces."""
    other = tmp_path / "other"
    host.file("/lib/a.so")
    host.process(1, "/bin/run", "/lib/a.so")
    host.process(2, "/bin/run", "/lib/a.so", root=other)
    (other / "lib").mkdir(parents=True)
    (other / "lib/a.so").touch()
    (other / "lib/a.so").chmod(0o666)

    found = [fact.values["mode"] for fact in host.read() if fact.kind == "loaded_module"]
    assert found == ["0644", "0666"]


@pytest.mark.parametrize(
    ("name", "in_maps", "told"),
    [
        (b"/lib/\xff.so", b"/lib/\xff.so", "/lib/\ufffd.so"),
        (b"/lib/a\nb.so", rb"/lib/a\012b.so", "/lib/a\nb.so"),
        (rb"/lib/a\012b.so", rb"/lib/a\012b.so", r"/lib/a\012b.so"),
        (b"/lib/a b (deleted)", b"/lib/a b (deleted) (deleted)", "/lib/a b (deleted)"),
    ],
)
def test_names_hide_no_module(host: Host, name: bytes, in_maps: bytes, told: str) -> None:
    host.file(name, mode=0o666)
    host.process(1, "/bin/first", in_maps)
    assert host.modules() == {told: True}


def test_what_stands_in_the_place_of_a_module_is_not_opened(host: Host) -> None:
    host.file("/lib/real.so")
    os.mkfifo(host.files / "lib/pipe.so")
    (host.files / "lib/link.so").symlink_to("/lib/real.so")
    (host.files / "linked").symlink_to("/lib")
    host.process(1, "/bin/first", "/lib/pipe.so", "/lib/link.so", "/linked/real.so")
    assert host.modules() == {}


def test_module_that_changes_is_read_again(host: Host) -> None:
    place = host.file("/lib/a.so")
    host.process(1, "/bin/first", "/lib/a.so")
    assert host.modules() == {"/lib/a.so": False}
    place.chmod(0o666)
    assert host.modules() == {"/lib/a.so": True}


def test_program_that_was_removed_is_still_told(host: Host) -> None:
    folder = host.process(1, str(host.proc / "kept"))
    (host.proc / "kept").write_bytes(b"\x7fELF")
    (fact,) = host.read()
    assert fact.kind == "executable"
    assert "writable_by_others" not in fact.values
    (folder / "exe").unlink()
    assert host.read() == []


def test_more_modules_than_the_bound_are_counted_as_hidden(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules, "MAX_MODULES", 2)
    monkeypatch.setattr(modules, "_PIECE_BYTES", 50)
    for name in "abcdef":
        host.file(f"/lib/{name}.so")
    host.process(1, "/bin/first", *(f"/lib/{name}.so" for name in "abcdef"))
    assert len(host.modules()) == 3
    assert host.reader is not None
    assert host.reader.hidden.modules == 1


@pytest.mark.parametrize(
    ("refused", "hidden"),
    [("_view", Hidden(1, 1, 0)), ("_mapped_code", Hidden(0, 1, 1))],
)
def test_processes_that_may_not_be_looked_into_are_counted(
    host: Host, monkeypatch: pytest.MonkeyPatch, refused: str, hidden: Hidden
) -> None:
    host.file("/lib/a.so")
    host.process(1, "/bin/first", "/lib/a.so")

    def refuse(*_: object, **__: object) -> bytes:
        raise PermissionError

    monkeypatch.setattr(modules, refused, refuse)
    host.read()
    assert host.reader is not None
    assert host.reader.hidden == hidden
