"""Store: what must survive a restart, behind one protocol.

``open_store`` gives the real one; ``MemoryStore`` is the same without a disk.
"""

from __future__ import annotations

from analyzer.store.calls import tell
from analyzer.store.memory import MemoryStore
from analyzer.store.protocol import Placed, Position, Rows, Store
from analyzer.store.sql import SqlStore, open_store
from analyzer.store.telling import event_of, message_to, messages_about

__all__ = [
    "MemoryStore",
    "Placed",
    "Position",
    "Rows",
    "SqlStore",
    "Store",
    "event_of",
    "message_to",
    "messages_about",
    "open_store",
    "tell",
]
