"""The store in memory: the same behaviour without a disk, for tests; read to learn what it is."""

from __future__ import annotations

from analyzer.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
