"""Store: what must survive a restart, behind one protocol.

``open_store`` gives the real one; ``MemoryStore`` is the same without a disk.
"""

from __future__ import annotations

from analyzer.store.memory import MemoryStore
from analyzer.store.protocol import Store, StoredFinding
from analyzer.store.sql import SqlStore, open_store

__all__ = ["MemoryStore", "SqlStore", "Store", "StoredFinding", "open_store"]
