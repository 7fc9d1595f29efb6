"""What a telemetry kind is made of: typed, described columns, and constructors for them.

In: nothing. Out: the types that ``kinds`` and ``fact_kinds`` declare the vocabulary with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
PORT_MAX: Final = 65_535


class ColumnType(StrEnum):
    """What a column can hold, beside null."""

    TEXT = "text"
    ADDRESS = "address"  # IPv4 or IPv6 as text, IPv4-mapped written as IPv4
    CODE = "code"  # one of the column's closed values
    PORT = "port"  # 0 to 65535
    INTEGER = "integer"  # signed 64 bit
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a telemetry kind."""

    name: str
    type: ColumnType
    description: str
    closed: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    """Closed values of an integer column; empty = any."""
    derived: bool = False
    """Made once at ingest from other columns; never sent."""
    lower: bool = False
    """Text without case: lowered where it is read."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of telemetry."""

    name: str
    description: str
    message_type: str
    """What it counts under in telemetry metadata: Inspector's name where it had this kind as one,
    else ours, for rows of which nothing more is known."""
    own: tuple[Column, ...]
    """Columns beside time, agent and process."""
    columns: Mapping[str, Column] = field(init=False)
    """Every column that a row may have, by name: process columns first, then its own."""

    def __post_init__(self) -> None:
        """Index the columns by name."""
        both = {column.name: column for column in (*PROCESS_COLUMNS, *self.own)}
        object.__setattr__(self, "columns", MappingProxyType(both))

    @property
    def sent(self) -> tuple[Column, ...]:
        """Return its own columns that travel on the wire: all but the derived ones."""
        return tuple(column for column in self.own if not column.derived)


def text(name: str, description: str, *, lower: bool = False) -> Column:
    """Return a text column."""
    return Column(name, ColumnType.TEXT, description, lower=lower)


def address(name: str, description: str) -> Column:
    """Return an address column."""
    return Column(name, ColumnType.ADDRESS, description)


def port(name: str, description: str) -> Column:
    """Return a port column."""
    return Column(name, ColumnType.PORT, description)


def integer(name: str, description: str, *, numbers: tuple[int, ...] = ()) -> Column:
    """Return an integer column, of certain numbers only where they are given."""
    return Column(name, ColumnType.INTEGER, description, numbers=numbers)


def boolean(name: str, description: str) -> Column:
    """Return a boolean column."""
    return Column(name, ColumnType.BOOLEAN, description)


def code(name: str, description: str, closed: str) -> Column:
    """Return a column of closed values, given as ``one|two``."""
    return Column(name, ColumnType.CODE, description, tuple(closed.split("|")))


PROCESS_COLUMNS: Final = (
    integer("pid", "Process id (thread group) as the agent sees it."),
    integer("process_start_us", "When the process started, UTC microseconds."),
    text("process_name", "Base name of the executable, else the kernel's command name."),
    text("process_path", "Path of the executable."),
    integer("parent_pid", "Process id of the parent."),
    integer("uid", "Numeric owner of the process."),
    text("user", "Name of the owner, where the host's user table has one."),
    text("container_id", "Container id, where the process runs in one."),
)

SOURCE: Final = code(
    "source",
    "What observed it.",
    "perf|bpf|sock_diag|procfs|psutil|packets|probe|facts|pcap|simulator",
)
