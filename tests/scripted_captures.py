"""A capture of packets that a test writes down."""

import os
from collections.abc import Iterator, Sequence


class ScriptedCapture:
    def __init__(self, *, reason: str = "") -> None:
        self.method = "script"
        self.reason = reason
        self.packets: list[tuple[int, bytes]] = []
        self.drops = 0
        self.is_open = True
        self._pipe = os.pipe()

    def fileno(self) -> int:
        return self._pipe[0]

    def read(self) -> Iterator[tuple[int, bytes]]:
        waiting, self.packets = self.packets, []
        return iter(waiting)

    def count_drops(self) -> int:
        return self.drops

    def close(self) -> None:
        assert self.is_open
        self.is_open = False
        for fileno in self._pipe:
            os.close(fileno)

    def put(self, packets: Sequence[tuple[int, bytes]]) -> None:
        self.packets += packets
