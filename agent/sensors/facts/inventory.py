"""Inventory: operating system, folders, packages, accounts and interfaces of a host.

In: files of the host. Out: facts of their kinds.
"""

from __future__ import annotations

import platform
import shlex
from contextlib import closing
from typing import TYPE_CHECKING, Final

from agent.decode.packages import Package, read_dpkg_status, read_rpm_header
from agent.errors import NetlinkError
from agent.sensors import interfaces
from agent.sensors.facts.host_files import Fact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.sensors.facts.host_files import HostFiles

DIRECTORIES: Final = (
    "/",
    "/bin",
    "/boot",
    "/etc",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/cron.monthly",
    "/etc/cron.weekly",
    "/etc/init.d",
    "/etc/ld.so.conf.d",
    "/etc/pam.d",
    "/etc/profile.d",
    "/etc/security",
    "/etc/ssh",
    "/etc/ssl",
    "/etc/sudoers.d",
    "/etc/systemd",
    "/etc/systemd/system",
    "/lib",
    "/lib64",
    "/root",
    "/sbin",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib/systemd/system",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/sbin",
    "/usr/sbin",
)
"""Folders with programs or system configuration that only root should change."""
RPM_DATABASES: Final = ("/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite")
OTHER_DATABASES: Final = (
    "/lib/apk/db/installed",
    "/usr/lib/sysimage/rpm/Packages.db",
    "/var/lib/pacman/local",
    "/var/lib/rpm/Packages",
    "/var/lib/rpm/Packages.db",
)
"""What is not read: rpm's older databases, apk's and pacman's."""
_RPM_KEY: Final = "gpg-pubkey"  # stands among the packages and is none
_PASSWD_FIELDS, _GROUP_FIELDS = 7, 4


def read_operating_system(host: HostFiles) -> Iterator[Fact]:
    """Yield what the host runs."""
    text = host.text("/etc/os-release") or host.text("/usr/lib/os-release") or ""
    values = dict(line.partition("=")[::2] for line in text.split("\n") if "=" in line)
    release = host.text("/proc/sys/kernel/osrelease")
    hostname = host.text("/proc/sys/kernel/hostname")
    yield _fact(
        "operating_system",
        os_id=_unquoted(values.get("ID")),
        os_version=_unquoted(values.get("VERSION_ID")),
        os_name=_unquoted(values.get("PRETTY_NAME")),
        kernel_release=release.strip() if release else None,
        architecture=platform.machine() if host.is_live else None,
        hostname=hostname.strip() if hostname else None,
    )


def read_directories(host: HostFiles) -> Iterator[Fact]:
    """Yield who may change the folders of the system."""
    for path in DIRECTORIES:
        access = host.access(path)
        if access is not None:
            yield _fact(
                "directory",
                path=path,
                owner=access.owner,
                mode=access.mode,
                writable_by_others=access.writable_by_others,
            )


def read_packages(host: HostFiles) -> Iterator[Fact]:
    """Yield the installed packages of dpkg and rpm; a database of another kind is unreadable."""
    for name in ["/var/lib/dpkg/status", *host.matching("/var/lib/dpkg/status.d/*")]:
        packages = read_dpkg_status(host.lines(name))
        yield from (_package(package, "dpkg") for package in packages)
    newer = [name for name in RPM_DATABASES if host.access(name) is not None]
    for database in newer:
        yield from (_package(package, "rpm") for package in _rpm_packages(host, database))
    if not newer:
        host.unreadable.update(name for name in OTHER_DATABASES if host.access(name) is not None)


def read_accounts(host: HostFiles) -> Iterator[Fact]:
    """Yield users and groups of the host's own tables; a directory server's are not there."""
    for fields in _table(host, "/etc/passwd", _PASSWD_FIELDS):
        yield _fact(
            "user",
            account_name=fields[0],
            account_uid=_number(fields[2]),
            account_gid=_number(fields[3]),
            home=fields[5],
            shell=fields[6],
        )
    for fields in _table(host, "/etc/group", _GROUP_FIELDS):
        yield _fact(
            "group", group_name=fields[0], group_gid=_number(fields[2]), members=fields[3] or None
        )


def read_interfaces(host: HostFiles) -> Iterator[Fact]:
    """Yield the addresses of network interfaces; a recorded host has none."""
    if not host.is_live:
        return
    try:
        found = interfaces.read_interfaces()
    except NetlinkError:
        host.unreadable.add("network interfaces")
        return
    for interface in found:
        common = {
            "interface_name": interface.name,
            "mac": interface.mac,
            "is_up": interface.is_up,
            "mtu_bytes": interface.mtu_bytes,
        }
        for own in interface.addresses:
            yield _fact("interface", address=own.address, prefix_length=own.prefix_length, **common)
        if not interface.addresses:
            yield _fact("interface", **common)


def _fact(kind: str, **values: object) -> Fact:
    return Fact(kind, {name: value for name, value in values.items() if value is not None})


def _package(package: Package, manager: str) -> Fact:
    return _fact(
        "package",
        package_name=package.name,
        package_version=package.version,
        architecture=package.architecture,
        manager=manager,
    )


def _rpm_packages(host: HostFiles, database: str) -> Iterator[Package]:
    import sqlite3  # 1.2 MB of memory that hosts without rpm do without

    # Immutable: without write access, SQLite could not open a database that has a write-ahead log.
    address = f"{host.path(database).absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            for (blob,) in connection.execute("SELECT blob FROM Packages"):
                package = read_rpm_header(blob) if isinstance(blob, bytes) else None
                if package is not None and package.name != _RPM_KEY:
                    yield package
    except sqlite3.Error:
        host.unreadable.add(database)


def _table(host: HostFiles, name: str, fields: int) -> Iterator[list[str]]:
    for line in host.lines(name):
        values = line.split(":")
        if len(values) == fields and values[0] and values[0][0] not in "+-":
            yield values


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004


def _unquoted(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return " ".join(shlex.split(value))
    except ValueError:  # a quote that is never closed
        return value
