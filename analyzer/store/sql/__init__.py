"""The store in SQLite or PostgreSQL: queries by subject, one file each."""

from __future__ import annotations

from analyzer.store.sql.opening import open_store
from analyzer.store.sql.store import SqlStore

__all__ = ["SqlStore", "open_store"]
