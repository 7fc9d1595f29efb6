"""Facts of this host, against what other programs say of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from agent.decode.elf import Hardening, read_hardening
from agent.decode.packages import read_dpkg_status
from agent.sensors.facts.host_files import HostFiles
from agent.sensors.facts.modules import ModuleReader
from agent.sensors.facts.settings import read_settings
from agent.sensors.processes import ProcessTable
from rules.telemetry.clock import SystemClock

pytestmark = pytest.mark.integration

LOADER = """
import ctypes, sys
ctypes.CDLL(sys.argv[1])
print("loaded", flush=True)
sys.stdin.read()
"""


def programs() -> Iterator[Path]:
    paths = [*sorted(Path("/usr/bin").iterdir())[:300], *Path("/usr/lib").glob("*/lib*.so.*")]
    yield from (path for path in paths if path.is_file() and not path.is_symlink())


def by_another_reader(path: Path) -> tuple[bool, bool | None, str] | None:
    """Return nx, canary and relro as pyelftools finds them; None where it is no ELF file."""
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return None
        elf = ELFFile(file)
        flags = {segment["p_type"]: segment["p_flags"] for segment in elf.iter_segments()}
        section = elf.get_section_by_name(".dynamic")
        tags = (
            {tag.entry.d_tag: tag.entry.d_val for tag in section.iter_tags()}
            if isinstance(section, DynamicSection)
            else {}
        )
        now = "DT_BIND_NOW" in tags or tags.get("DT_FLAGS", 0) & 8 or tags.get("DT_FLAGS_1", 0) & 1
        relro = ("full" if now else "partial") if "PT_GNU_RELRO" in flags else "none"
        symbols = elf.get_section_by_name(".dynsym")
        canary = (
            any(symbol.name.startswith("__stack_chk_") for symbol in symbols.iter_symbols())
            if isinstance(symbols, SymbolTableSection)
            else None
        )
        return not flags.get("PT_GNU_STACK", 1) & 1, canary, relro


def hardening_of(data: bytes) -> Hardening | None:
    return read_hardening(lambda offset, size: data[offset : offset + size])


@pytest.mark.timeout(60)  # the other reader takes its time
def test_hardening_of_programs_here_is_what_another_reader_finds() -> None:
    compared = 0
    for path in programs():
        theirs = by_another_reader(path)
        ours = hardening_of(path.read_bytes())
        if theirs is None:
            assert ours is None, path
            continue
        assert ours is not None, path
        assert (ours.nx, ours.stack_canary, ours.relro) == theirs, path
        compared += 1
    assert compared > 100


def test_kernel_settings_of_this_host_are_read() -> None:
    host = HostFiles()
    found = {str(fact.values["name"]): fact.values["value"] for fact in read_settings(host)}
    path = Path("/proc/sys/kernel/randomize_va_space")
    assert found["kernel.randomize_va_space"] == path.read_text(encoding="ascii").strip()
    assert not [name for name in host.unreadable if name.startswith("/proc/")]


def test_packages_are_those_that_dpkg_lists() -> None:
    if shutil.which("dpkg-query") is None:
        pytest.skip("this host has no dpkg")
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n"],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    theirs = sorted(tuple(line.split()[1:]) for line in listed if line.startswith("installed "))
    text = Path("/var/lib/dpkg/status").read_text(encoding="utf-8")
    ours = sorted((package.name, package.version) for package in read_dpkg_status(text.split("\n")))
    assert ours == theirs


def test_module_that_others_may_change_is_told_with_its_process(tmp_path: Path) -> None:
    library = next(Path("/usr/lib").glob("*/libz.so.1.*"), None) or next(
        Path("/usr/lib").glob("*/libm.so.6")
    )
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    module = open_folder / "libmodule.so"
    shutil.copy(library.resolve(), module)
    module.chmod(0o644)
    open_folder.chmod(0o777)
    with subprocess.Popen(
        [sys.executable, "-c", LOADER, str(module)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"loaded\n"
            reader = ModuleReader(ProcessTable(clock=SystemClock()))
            facts = list(reader.read(frozenset({"executable", "loaded_module"})))
        finally:
            process.kill()
    executables = [fact for fact in facts if fact.kind == "executable"]
    assert any(fact.process and fact.process.pid == process.pid for fact in executables) or any(
        fact.process and fact.process.name == Path(sys.executable).resolve().name
        for fact in executables
    )
    mine = [fact for fact in facts if fact.values["path"] == str(module)]
    uid = next(fact.process.uid for fact in facts if fact.process is not None)
    if uid != 0:
        pytest.skip("only processes of root are looked into, and this is none")
    (found,) = mine
    assert found.kind == "loaded_module"
    assert found.values["writable_by_others"] is True
    assert found.values["mode"] == "0644"
    assert found.process is not None
    assert found.process.pid == process.pid
