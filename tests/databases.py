"""A private PostgreSQL: a cluster in a temporary folder that listens on a socket file only.

Comes in: nothing. Goes out: the URL of a new, empty database for whoever asks.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from itertools import count
from pathlib import Path

import pytest

from analyzer.store import MemoryStore, Store, open_store
from tests.services import find_program, missing_reason

SQL_STORES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.integration))
STORES = ("memory", *SQL_STORES)
"""What a contract test of stores is run over; each is opened by ``open_new_store``."""

_NUMBERS = count(1)
_START_S = 30


async def open_new_store(kind: str, folder: Path) -> Store:
    """Return an empty store of one of ``STORES``; a file goes into the folder."""
    if kind == "memory":
        return MemoryStore()
    return await open_store(folder / "db" if kind == "sqlite" else new_postgresql_database())


def new_postgresql_database() -> str:
    """Return the URL of an empty database; skips the test where PostgreSQL is not installed."""
    if find_program("postgres") is None:
        reason = missing_reason("postgres")
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    cluster = _cluster()
    name = f"test_{os.getpid()}_{next(_NUMBERS)}"
    cluster.sql(f"CREATE DATABASE {name}")
    return f"postgresql://proctor@/{name}?host={cluster.folder}"


class _Cluster:
    """A running cluster; it ends with the process."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="proctor-pg-"))
        # PostgreSQL refuses to run as root.
        self._user = pwd.getpwnam("nobody").pw_name if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, -1)
        data = self.folder / "data"
        self._run("initdb", "-D", data, "-U", "proctor", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=200"
        log = self.folder / "log"
        self._run("pg_ctl", "-D", data, "-l", log, "-w", "-t", _START_S, "-o", options, "start")
        atexit.register(self._stop)

    def sql(self, statement: str) -> None:
        """Run a statement outside of any database of a test."""
        self._run("psql", "-h", self.folder, "-U", "proctor", "-q", "-c", statement, "postgres")

    def _stop(self) -> None:
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, name: str, *arguments: object) -> None:
        server = find_program("postgres")
        assert server is not None, missing_reason("postgres")
        # Beside the server: what PATH has may be a wrapper that looks for clusters of its own.
        program = server.resolve().parent / name
        subprocess.run(
            [program, *map(str, arguments)],
            check=True,
            user=self._user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            timeout=2 * _START_S,
        )


@cache
def _cluster() -> _Cluster:
    return _Cluster()
