"""The keys of a running server: what the credentials file says, taken up while it runs.

In: the credentials file. Out: the key that a request names. A file that cannot be read any more
changes nothing: the keys that were read last stay.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from analyzer.errors import AccessError

if TYPE_CHECKING:
    from analyzer.access.credentials import CredentialsFile
    from analyzer.access.keys import AccessKey

_LOG = logging.getLogger(__name__)
LOOK_S: Final = 0.5  # how often it looks: a revoked key works that much longer
_Stamp = tuple[int, int, int]


class KeyRing:
    """Finds keys by their ids."""

    def __init__(self, file: CredentialsFile) -> None:
        """Begin without keys; ``refresh`` reads them."""
        self._file = file
        self._keys: dict[str, AccessKey] = {}
        self._stamp: _Stamp | None = None

    def held(self, key_id: str) -> AccessKey | None:
        """Return the key with this id, as it was read last."""
        return self._keys.get(key_id)

    async def find(self, key_id: str) -> AccessKey | None:
        """Return the key with this id; one that was made a moment ago counts."""
        if key_id not in self._keys:
            await self.refresh()
        return self._keys.get(key_id)

    async def refresh(self) -> None:
        """Take up the file if it has changed."""
        await asyncio.to_thread(self._refresh)

    async def watch(self) -> None:
        """Take up changes until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.refresh()

    def _refresh(self) -> None:
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            keys = self._file.read()
        except AccessError as error:
            _LOG.warning("access.keys_unreadable", extra={"reason": str(error)})
            return
        self._keys = {key.key_id: key for key in keys}

    def _stamp_now(self) -> _Stamp | None:
        try:
            status = self._file.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size
