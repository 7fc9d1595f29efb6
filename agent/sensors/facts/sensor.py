"""The facts sensors: what does not move during a run, from files of the host.

In: files of the host. Out: ``FactsRead`` with the facts that are new or have changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agent.errors import DecodeError
from agent.sensors.facts import instance, inventory, modules, settings
from agent.sensors.facts.host_files import Fact, HostFiles
from agent.sensors.facts.readings import REREAD_S, Blind, FileFactsSensor, Reader, Reading
from agent.sensors.pace import Pace
from agent.sensors.processes import ProcessTable, list_pids
from agent.sensors.sensor import Capability

MODULES_S: Final = 30.0  # between two looks at what processes run, at least
MODULES_CPU_SHARE: Final = 0.0005  # of one core; where looks cost more, they become rarer
_OF_PROCESSES: Final = frozenset({"executable", "loaded_module"})


class FactsSensor(FileFactsSensor):
    """Everything but the SSH server's settings, which need a right of their own."""

    name = "facts"
    kinds = (
        "directory",
        "executable",
        "group",
        "instance_metadata",
        "interface",
        "loaded_module",
        "operating_system",
        "package",
        "setting",
        "user",
    )
    method = "files of the host"

    def probe(self) -> Capability:
        """Say whether modules of root's processes can be seen, and all files with settings."""
        host = HostFiles(self._host.root)
        for _ in settings.read_settings(host):
            pass
        reasons = [f"{name} cannot be read" for name in sorted(host.unreadable)]
        needed = ["CAP_DAC_READ_SEARCH"] if reasons else []
        if not self._can_see_root():
            reasons.append("modules of root's processes and executables of other users are hidden")
            needed.append("CAP_SYS_PTRACE")
        if not reasons:
            return Capability("on", self.method)
        return Capability("degraded", self.method, "; ".join(reasons), _remedy(*needed))

    def blind_spots(self) -> tuple[str, ...]:
        """Return what files cannot show."""
        return (
            "The hardening of statically linked programs is known in part only.",
            "Accounts and passwords of a directory server are not read.",
            "A process that starts and ends between two looks, 30 s apart, is not examined.",
            "Packages in rpm's older databases, of apk and of pacman are not read.",
        )

    def _can_see_root(self) -> bool:
        """Tell whether the program of some process of root may be seen, or nothing is hidden."""
        root = self._host.path("/proc")
        pids = list_pids(str(root)) if root.is_dir() else []
        if not pids:
            return True  # a recorded host without processes
        hidden = int(1 not in pids)  # each namespace has a first process: others are hidden too
        for folder in (root / str(pid) for pid in pids):
            try:
                (folder / "exe").readlink()
                if folder.stat().st_uid == 0:
                    return True
            except PermissionError:
                hidden += 1
            except OSError:  # gone, or a kernel thread
                continue
        return hidden == 0

    def _plan(self) -> list[Reading]:
        host = self._host
        readers: tuple[tuple[tuple[str, ...], Reader], ...] = (
            (("operating_system",), lambda: inventory.read_operating_system(host)),
            (("setting",), lambda: settings.read_settings(host)),
            (("directory",), lambda: inventory.read_directories(host)),
            (("package",), lambda: inventory.read_packages(host)),
            (("user", "group"), lambda: inventory.read_accounts(host)),
            (("interface",), lambda: inventory.read_interfaces(host)),
            (("instance_metadata",), lambda: instance.read_instance(host)),
        )
        plan = [Reading(frozenset(kinds), reader) for kinds, reader in readers]
        self._modules: modules.ModuleReader | None = None
        pace = Pace(shortest_s=MODULES_S, longest_s=REREAD_S, share=MODULES_CPU_SHARE)
        return [*plan, Reading(frozenset(_OF_PROCESSES), self._read_modules, pace)]

    def _blind_kinds(self, reading: Reading) -> Blind:
        if reading.kinds != _OF_PROCESSES or self._modules is None:
            return super()._blind_kinds(reading)
        hidden = self._modules.hidden
        blind: Blind = {}
        if hidden.programs:
            blind["executable"] = ("degraded", f"{hidden.programs} processes are hidden")
        if not hidden.seen_of_root and not self._can_see_root():
            blind["loaded_module"] = ("off", "root's processes are hidden")
        elif hidden.modules:
            blind["loaded_module"] = ("degraded", f"{hidden.modules} of root's are hidden")
        return blind

    def _read_modules(self) -> Iterable[Fact]:
        root = str(self._host.path("/proc"))
        try:
            self._modules = self._modules or modules.ModuleReader(
                ProcessTable(root, clock=self._clock), root=root
            )
        except (OSError, DecodeError):
            return ()  # a recorded host without processes
        return self._modules.read(self._wanted)


class SshdConfigSensor(FileFactsSensor):
    """The settings of the SSH server; its file may be for root alone."""

    name = "sshd_config"
    kinds = ("setting",)
    method = "sshd_config and what it includes"

    def probe(self) -> Capability:
        """Say whether the file, and every file it includes, may be read."""
        host = HostFiles(self._host.root)
        for _ in settings.read_sshd_settings(host):
            pass
        if not host.unreadable:
            return Capability("on", self.method)
        return Capability(
            "off",
            self.method,
            f"{', '.join(sorted(host.unreadable))} cannot be read",
            _remedy("CAP_DAC_READ_SEARCH"),
        )

    def blind_spots(self) -> tuple[str, ...]:
        """Return what the file cannot show."""
        return ("What the SSH server's command line changes is not known.",)

    def _plan(self) -> list[Reading]:
        return [Reading(frozenset(self.kinds), lambda: settings.read_sshd_settings(self._host))]


def _remedy(*rights: str) -> str:
    return (
        f"Give the agent {' and '.join(rights)} (systemd: AmbientCapabilities={' '.join(rights)})."
    )
