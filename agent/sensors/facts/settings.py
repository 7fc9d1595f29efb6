"""Settings: kernel, processor, SSH server, and the rules for passwords.

In: files of the host. Out: facts of the kind ``setting``, one per effective value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agent.decode.password_policy import (
    effective_policy,
    read_login_defs,
    read_module_files,
    read_password_stack,
)
from agent.decode.sshd_config import read_sshd_config
from agent.sensors.facts.host_files import Fact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.sensors.facts.host_files import HostFiles

SYSCTLS: Final = (
    "fs.suid_dumpable",
    "kernel.dmesg_restrict",
    "kernel.kptr_restrict",
    "kernel.randomize_va_space",
    "kernel.unprivileged_bpf_disabled",
    "kernel.yama.ptrace_scope",
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv4.conf.all.accept_source_route",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.ip_forward",
    "net.ipv4.tcp_syncookies",
)
"""Those that everybody may read; nobody but root, whatever its rights, reads ``fs.protected_*``."""
SSHD_CONFIG: Final = "/etc/ssh/sshd_config"
_SSHD: Final = "/usr/sbin/sshd"
_LOGIN_DEFS: Final = "/etc/login.defs"
_USERADD: Final = "/usr/sbin/useradd"  # the program that the file is for
_QUALITY: Final = "/etc/security/pwquality.conf"
_QUALITY_MORE: Final = "/etc/security/pwquality.conf.d/*.conf"
_HISTORY: Final = "/etc/security/pwhistory.conf"
_PAM_FOLDERS: Final = ("/etc/pam.d", "/usr/lib/pam.d")  # the first that has a file counts
_SERVICES: Final = (("common-password",), ("system-auth", "password-auth"), ("passwd",))
"""Files with the password stack: Debian's, Red Hat's and Amazon's, else the program's own."""
_X86: Final = re.compile(r"^flags\s*:(.*)$", re.MULTILINE)


def read_settings(host: HostFiles) -> Iterator[Fact]:
    """Yield the settings of a host that everybody on it may read."""
    yield from _sysctls(host)
    yield from _cpu(host)
    yield from _login(host)
    yield from _password(host)


def read_sshd_settings(host: HostFiles) -> Iterator[Fact]:
    """Yield the settings of the SSH server; of a host without one, nothing."""
    text = host.text(SSHD_CONFIG)
    if text is None and (SSHD_CONFIG in host.unreadable or host.access(_SSHD) is None):
        return  # nothing is known, or there is no server

    def read(pattern: str) -> list[tuple[str, str]]:
        absolute = pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"
        found = ((path, host.text(path)) for path in host.matching(absolute))
        return [(path, content) for path, content in found if content is not None]

    for item in read_sshd_config(text or "", path=SSHD_CONFIG, read=read):
        yield _setting("sshd", item.name, item.value, path=item.path, condition=item.condition)


def _setting(
    area: str, name: str, value: str, *, path: str | None, condition: str | None = None
) -> Fact:
    values: dict[str, str | int | None] = {
        "area": area,
        "name": name,
        "value": value,
        "number": int(value) if re.fullmatch(r"[+-]?[0-9]{1,18}", value) else None,
        "condition": condition,
        "path": path,
    }
    return Fact("setting", {key: item for key, item in values.items() if item is not None})


def _sysctls(host: HostFiles) -> Iterator[Fact]:
    for name in SYSCTLS:
        path = "/proc/sys/" + name.replace(".", "/")
        text = host.text(path)
        if text is not None:
            yield _setting("sysctl", name, " ".join(text.split()), path=path)


def _cpu(host: HostFiles) -> Iterator[Fact]:
    """Yield whether an x86 processor can forbid execution; others always can."""
    flags = _X86.search(host.text("/proc/cpuinfo") or "")
    if flags is not None:
        has_nx = "nx" in flags[1].split()
        yield _setting("cpu", "nx", "1" if has_nx else "0", path="/proc/cpuinfo")


def _login(host: HostFiles) -> Iterator[Fact]:
    text = host.text(_LOGIN_DEFS)
    if text is None and (_LOGIN_DEFS in host.unreadable or host.access(_USERADD) is None):
        return  # nothing is known, or nothing would use it
    found = read_login_defs(text or "")
    for name, value in sorted({"pass_max_days": "-1", **found}.items()):
        yield _setting("login", name, value, path=_LOGIN_DEFS if name in found else None)


def _password(host: HostFiles) -> Iterator[Fact]:
    def read(service: str) -> str | None:
        paths = (f"{folder}/{service.rpartition('/')[2]}" for folder in _PAM_FOLDERS)
        return next((text for text in map(host.text, paths) if text is not None), None)

    quality = read_module_files(_texts(host, [*host.matching(_QUALITY_MORE), _QUALITY]))
    history = read_module_files(_texts(host, [_HISTORY]))
    for services in _SERVICES:
        stacks = [(name, read_password_stack(name, read)) for name in services if read(name)]
        if host.unreadable:
            return  # what is not known might be stricter, or might not
        for service, stack in stacks:
            policy = effective_policy(stack, quality=quality, history=history)
            for name, value in sorted(policy.items()):
                yield _setting("password", name, str(value), path=f"/etc/pam.d/{service}")
        if stacks:
            return


def _texts(host: HostFiles, names: Iterable[str]) -> list[str]:
    return [text for text in map(host.text, names) if text is not None]
