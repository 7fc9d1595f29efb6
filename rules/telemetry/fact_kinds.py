"""Kinds of host facts: what does not move during a run, read again now and then.

In: column constructors. Out: ``FACT_KINDS``, which ``kinds`` takes in.
"""

from __future__ import annotations

from typing import Final

from rules.telemetry.kind import SOURCE, Kind, address, boolean, code, integer, text

_ELF_COLUMNS = (
    text("path", "Path of the file."),
    text("owner", "Name or number of the owner."),
    text("mode", "Permission bits, octal."),
    boolean("nx", "Whether its stack is not executable."),
    boolean("stack_canary", "Whether it was built with stack protectors."),
    boolean("pie", "Whether it is position independent."),
    code("relro", "Read-only relocations.", "none|partial|full"),
    boolean("writable_by_others", "Whether somebody but root may change it or a parent folder."),
    SOURCE,
)
EXECUTABLE: Final = Kind(
    "executable", "The file of a running executable.", "InspectorCodeModule", _ELF_COLUMNS
)
LOADED_MODULE: Final = Kind(
    "loaded_module",
    "A shared object that a process has loaded.",
    "InspectorDynamicallyLoadedCodeModule",
    _ELF_COLUMNS,
)
OPERATING_SYSTEM: Final = Kind(
    "operating_system",
    "The operating system of this host and its kernel.",
    "InspectorOperatingSystem",
    (
        text("os_id", "Short name of the distribution, such as debian or amzn."),
        text("os_version", "Version of the distribution."),
        text("os_name", "Name and version for people."),
        text("kernel_release", "Release of the running kernel."),
        text("architecture", "Machine type, such as x86_64 or aarch64."),
        text("hostname", "Name of the host."),
        SOURCE,
    ),
)
SETTING: Final = Kind(
    "setting",
    "One effective security setting of this host, from the kernel or a configuration file.",
    "InspectorConfigurationInfo",
    (
        code(
            "area",
            "What it belongs to: kernel settings, the processor, the SSH server, login.defs, or "
            "the rules for new passwords as PAM applies them.",
            "sysctl|cpu|sshd|login|password",
        ),
        text("name", "Name of the setting, lower case.", lower=True),
        text("value", "Its effective value; text values lower case where case has no meaning."),
        integer("number", "The value, where it is a whole number."),
        text("condition", "sshd: always, or the Match blocks in which it holds; others: null."),
        text("path", "File that sets it; null = built-in default, or no file."),
        SOURCE,
    ),
)
DIRECTORY: Final = Kind(
    "directory",
    "A directory that holds programs or system configuration.",
    "InspectorDirectoryInfoMsg",
    (
        text("path", "Path of the directory."),
        text("owner", "Name or number of the owner."),
        text("mode", "Permission bits, octal."),
        boolean("writable_by_others", "Whether somebody but root may change what is in it."),
        SOURCE,
    ),
)
PACKAGE: Final = Kind(
    "package",
    "An installed software package.",
    "InspectorPackageInfo",
    (
        text("package_name", "Name of the package."),
        text("package_version", "Installed version, as its manager writes it."),
        text("architecture", "Architecture it was built for."),
        code("manager", "Package manager that knows it.", "dpkg|rpm"),
        SOURCE,
    ),
)
USER: Final = Kind(
    "user",
    "An account in this host's user table.",
    "InspectorUser",
    (
        text("account_name", "Name of the account."),
        integer("account_uid", "Its number; 0 has all rights."),
        integer("account_gid", "Number of its main group."),
        text("home", "Home directory."),
        text("shell", "Login shell."),
        SOURCE,
    ),
)
GROUP: Final = Kind(
    "group",
    "A group in this host's group table.",
    "InspectorGroup",
    (
        text("group_name", "Name of the group."),
        integer("group_gid", "Its number."),
        text("members", "Names of its members, separated by commas; main groups not counted."),
        SOURCE,
    ),
)
INTERFACE: Final = Kind(
    "interface",
    "An address of a network interface, or an interface without one.",
    "InspectorNetworkInterface",
    (
        text("interface_name", "Name of the interface."),
        address("address", "Address; null where it has none."),
        integer("prefix_length", "Length of the network part of the address, bits."),
        text("mac", "Hardware address."),
        boolean("is_up", "Whether it is switched on."),
        integer("mtu_bytes", "Largest packet."),
        SOURCE,
    ),
)
INSTANCE_METADATA: Final = Kind(
    "instance_metadata",
    "One value that the instance metadata service states of this host.",
    "InspectorInstanceMetaData",
    (
        text("name", "Which value, such as instance-id."),
        text("value", "The value."),
        SOURCE,
    ),
)

FACT_KINDS: Final = (
    EXECUTABLE,
    LOADED_MODULE,
    OPERATING_SYSTEM,
    SETTING,
    DIRECTORY,
    PACKAGE,
    USER,
    GROUP,
    INTERFACE,
    INSTANCE_METADATA,
)
HOST_KINDS: Final = frozenset(kind.name for kind in FACT_KINDS) - {"executable", "loaded_module"}
"""Kinds whose rows are about the host as a whole: no process makes them."""
