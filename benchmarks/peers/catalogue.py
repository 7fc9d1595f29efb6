"""Catalogue: every peer, in the order in which they are measured."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import TYPE_CHECKING, Final

from benchmarks.peers.expressions import Cel, RuleEngine, ZenEngine
from benchmarks.peers.facts_clips import Clips
from benchmarks.peers.frames_polars import Polars
from benchmarks.peers.python_function import PythonFunction
from benchmarks.peers.python_loop import PythonLoop
from benchmarks.peers.sql_chdb import ChDb
from benchmarks.peers.sql_datafusion import DataFusion
from benchmarks.peers.sql_duckdb import DuckDb
from benchmarks.peers.sql_sqlite import Sqlite

if TYPE_CHECKING:
    from benchmarks.peers.peer import Peer

PEERS: Final[tuple[type[Peer], ...]] = (
    Polars,
    DataFusion,
    DuckDb,
    ChDb,
    PythonLoop,
    PythonFunction,
    Sqlite,
    Clips,
    ZenEngine,
    Cel,
    RuleEngine,
)


def peer_version(peer: type[Peer]) -> str | None:
    """Return the version of what a peer runs on; None where it is not installed."""
    if peer.package is None:
        return f"Python {python_version()}"
    try:
        return version(peer.package)
    except PackageNotFoundError:
        return None
