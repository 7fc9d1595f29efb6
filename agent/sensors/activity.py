"""Whether the host's TCP tables can have changed: two counters instead of a walk of the table.

In: /proc/net/snmp of the own network namespace. Out: a value that differs once a connection was
opened. Source: RFC 4022 (tcpActiveOpens, tcpPassiveOpens, tcpCurrEstab), proc(5).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Self, TypeAlias

_COUNTERS: Final = (b"ActiveOpens", b"PassiveOpens", b"CurrEstab")
_FILE_BYTES: Final = 65_536

Signature: TypeAlias = tuple[int, ...]


class TcpActivity:
    """The counters, read from a file that stays open.

    Raises:
        OSError: The file is not there, or has not the counters.
    """

    def __init__(self, path: str | Path = "/proc/net/snmp") -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.read()
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> Signature:
        """Return opened connections in both directions, and how many are established."""
        return read_counters(os.pread(self._file, _FILE_BYTES, 0))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_counters(text: bytes) -> Signature:
    """Return the counters that stand in the text of /proc/net/snmp.

    Raises:
        OSError: They do not stand there.
    """
    lines = [line.split() for line in text.splitlines() if line.startswith(b"Tcp:")]
    try:
        names, values = lines
        found = dict(zip(names, values, strict=True))
        return tuple(int(found[name]) for name in _COUNTERS)
    except (ValueError, KeyError) as error:
        raise OSError("no TCP counters in /proc/net/snmp") from error
