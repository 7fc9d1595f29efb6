"""Modules: how the files are hardened that processes run, and who may change what root loads.

In: /proc of the host. Out: facts of the kinds ``executable`` and ``loaded_module``, one for each
file and process name. Files are looked at as their process sees them, through ``/proc/PID/root``,
and may be anything: their owner chooses name, content and moment.
"""

from __future__ import annotations

import os
import re
import stat
from collections import OrderedDict
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, TypeAlias

from agent.decode.elf import read_hardening
from agent.decode.procfs import read_text
from agent.sensors.facts.host_files import Fact, access_of, open_regular
from agent.sensors.socket_processes import to_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from agent.decode.elf import Hardening
    from agent.sensors.processes import ProcessFacts, ProcessTable

CACHED_FILES: Final = 4_096
MAX_MAPS_BYTES: Final = 8 << 20  # of one process; the kernel's default bound on mappings is half
MAX_MODULES: Final = 4_096  # of one process
_DELETED: Final = b" (deleted)"
_PIECE_BYTES: Final = 65_536
_CODE: Final = re.compile(rb"^[0-9a-f]+-[0-9a-f]+ ..x. \S+ \S+ \S+ +(/.*)\n", re.MULTILINE)
_NEW_LINE: Final = b"\\012"  # how maps writes a new line in a path

_FileKey = tuple[int, int, int, int]  # device, inode, time of last change of status, size
_Examined: TypeAlias = "tuple[os.stat_result, Hardening | None]"
_Values: TypeAlias = "Mapping[str, object]"
_View = tuple[int, int, int]  # mount namespace, device and inode of the root folder


class Hidden(NamedTuple):
    """How many processes did not let the agent look at the latest reading, and how many did."""

    programs: int = 0
    modules: int = 0
    """Processes of root whose modules are not known, or not all of them."""
    seen_of_root: int = 0


class ModuleReader:
    """Reads what processes run and load; knows each file until it changes.

    Attributes:
        hidden: What could not be seen at the latest reading.
    """

    def __init__(self, processes: ProcessTable, *, root: str = "/proc") -> None:
        """Read below ``root``."""
        self.hidden = Hidden()
        self._processes = processes
        self._root = root
        self._files: OrderedDict[_FileKey, Hardening | None] = OrderedDict()

    def read(self, kinds: frozenset[str]) -> Iterator[Fact]:
        """Yield executables of all processes and modules of those of root, as far as wanted."""
        look = _Look(self._root, kinds, self._examine)
        for pid in self._processes.pids():
            facts = self._processes.facts(pid)
            if facts is not None:
                yield from look.read(facts)
        self.hidden = Hidden(look.hidden_programs, look.hidden_modules, look.seen_of_root)

    def _examine(self, place: bytes) -> _Examined:
        """Return status and hardening of a file, the latter from memory where it is known.

        Raises:
            OSError: It is gone, hidden, or no regular file.
        """
        is_program = place.endswith(b"/exe")  # a link of the kernel's; no other is followed
        status = os.stat(place, follow_symlinks=is_program)  # noqa: PTH116 (hot)
        if _key(status) in self._files:
            self._files.move_to_end(_key(status))
            return status, self._files[_key(status)]
        with open_regular(place, flags=0 if is_program else os.O_NOFOLLOW) as file:
            descriptor = file.fileno()
            status = os.fstat(descriptor)

            def read(offset: int, size: int) -> bytes:
                is_inside = offset < status.st_size
                return os.pread(descriptor, size, offset) if is_inside else b""

            found = self._files[_key(status)] = read_hardening(read)
        if len(self._files) > CACHED_FILES:
            self._files.popitem(last=False)
        return status, found


class _Look:
    """One reading: what has been looked at is not looked at again for another process."""

    def __init__(
        self, root: str, kinds: frozenset[str], examine: Callable[[bytes], _Examined]
    ) -> None:
        self.hidden_programs = self.hidden_modules = self.seen_of_root = 0
        self._root = root
        self._kinds = kinds
        self._examine = examine
        self._told: set[tuple[str, _View, bytes]] = set()
        self._modules: dict[tuple[_View, bytes], _Values | None] = {}
        self._is_open: dict[tuple[_View, bytes], bool] = {}

    def read(self, facts: ProcessFacts) -> Iterator[Fact]:
        """Yield what one process runs and, if it is root's, has loaded."""
        place = os.fsencode(f"{self._root}/{facts.pid}")
        try:
            program = os.readlink(place + b"/exe")  # noqa: PTH115 (bytes)
            view = _view(place)
        except PermissionError:
            self.hidden_programs += 1
            self.hidden_modules += facts.uid == 0
            return
        except OSError:  # gone, or a kernel thread
            return
        process = to_process(facts)
        if "executable" in self._kinds:
            values = self._program(place, view, program.removesuffix(_DELETED))
            if values is not None:
                yield Fact("executable", values, process)
        if "loaded_module" in self._kinds and facts.uid == 0:
            self.seen_of_root += 1
            for path in self._mapped(place, own=program):
                key = (facts.process_name, view, path)
                values = None if key in self._told else self._module(place, view, path)
                if values is not None:
                    self._told.add(key)
                    yield Fact("loaded_module", values, process)

    def _mapped(self, place: bytes, *, own: bytes) -> Iterable[bytes]:
        """Return the files of a process that hold code, without its executable."""
        paths: dict[bytes, None] = {}
        try:
            with open(place + b"/maps", "rb") as file:  # noqa: PTH123 (hot)
                for path in _mapped_code(file):
                    if path != own:
                        paths[path.removesuffix(_DELETED)] = None
                self.hidden_modules += bool(file.read(1))  # beyond the bounds
        except PermissionError:
            self.hidden_modules += 1
        except OSError:  # gone
            pass
        return paths

    def _program(self, place: bytes, view: _View, path: bytes) -> _Values | None:
        """Return what is known of an executable; of one that was removed, not who may change it."""
        try:
            status, hardening = self._examine(place + b"/exe")
        except PermissionError:
            self.hidden_programs += 1
            return None
        except OSError:
            return None
        try:
            others = _is_open(status) or self._has_open_parent(place, view, path)
        except OSError:
            others = None
        return _values(path, status, hardening, others=others)

    def _module(self, place: bytes, view: _View, path: bytes) -> _Values | None:
        """Return what is known of a module; None if it is gone or hidden."""
        if (view, path) not in self._modules:
            values = self._look_at(place, view, path)
            if values is None and _NEW_LINE in path:
                values = self._look_at(place, view, path.replace(_NEW_LINE, b"\n"))
            self._modules[view, path] = values
        return self._modules[view, path]

    def _look_at(self, place: bytes, view: _View, path: bytes) -> _Values | None:
        try:
            status, hardening = self._examine(place + b"/root" + path)
            others = _is_open(status) or self._has_open_parent(place, view, path)
        except PermissionError:
            self.hidden_modules += 1
            return None
        except OSError:
            return None
        return _values(path, status, hardening, others=others)

    def _has_open_parent(self, place: bytes, view: _View, path: bytes) -> bool:
        """Tell whether anybody but root may put another file in the place of this one."""
        while path:
            path = path.rpartition(b"/")[0]
            if (view, path) not in self._is_open:
                status = os.lstat(place + b"/root/" + path)
                if not stat.S_ISDIR(status.st_mode):
                    raise NotADirectoryError(path)
                is_sticky = bool(status.st_mode & stat.S_ISVTX) and status.st_uid == 0
                self._is_open[view, path] = _is_open(status) and not is_sticky
            if self._is_open[view, path]:
                return True
        return False


def _view(place: bytes) -> _View:
    """Return what tells apart which files processes see under the same path."""
    root = os.stat(place + b"/root")  # noqa: PTH116 (bytes)
    return os.stat(place + b"/ns/mnt").st_ino, root.st_dev, root.st_ino  # noqa: PTH116


def _mapped_code(file: BinaryIO) -> Iterator[bytes]:
    """Yield the files that hold code, a mapping after the other, as far as the bounds allow."""
    rest, size, found = b"", 0, 0
    while size < MAX_MAPS_BYTES and found <= MAX_MODULES and (piece := file.read(_PIECE_BYTES)):
        size += len(piece)
        lines, end, rest = (rest + piece).rpartition(b"\n")
        paths = _CODE.findall(lines + end)
        found += len(paths)
        yield from paths


def _key(status: os.stat_result) -> _FileKey:
    return status.st_dev, status.st_ino, status.st_ctime_ns, status.st_size


def _is_open(status: os.stat_result) -> bool:
    return access_of(status).writable_by_others


def _values(
    path: bytes, status: os.stat_result, hardening: Hardening | None, *, others: bool | None
) -> _Values:
    access = access_of(status)
    values: dict[str, object] = {
        "path": read_text(path),
        "owner": access.owner,
        "mode": access.mode,
        "writable_by_others": others,
    }
    if hardening is not None:
        values |= {
            "nx": hardening.nx,
            "stack_canary": hardening.stack_canary,
            "pie": hardening.pie,
            "relro": hardening.relro,
        }
    return {name: value for name, value in values.items() if value is not None}
