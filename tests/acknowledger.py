"""A stand-in for the analyzer: says what it wants, takes batches, and acknowledges them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Iterable

from agent.errors import SinkError
from agent.sinks import Message, Session, Sink
from rules.telemetry import Batch, topics
from rules.telemetry.wire import decode

WILL = Message("test/acknowledger", b"gone")
RETRY_S = 0.1


class Acknowledger:
    """Keeps what an agent sends.

    Attributes:
        batches: By boot id and sequence.
        duplicates: Batches that came more than once.
        statuses: Heartbeats, in order.
        is_silent: Take batches, but acknowledge none.
    """

    def __init__(self, sink: Sink, *, agent_id: str) -> None:
        self.batches: dict[tuple[str, int], Batch] = {}
        self.duplicates = 0
        self.statuses: list[dict[str, object]] = []
        self.is_silent = False
        self._sink = sink
        self._agent_id = agent_id
        self._control = b'{"format":1,"runs":[]}'
        self._control_changed = asyncio.Event()
        self._arrived = asyncio.Event()

    @property
    def in_order(self) -> list[Batch]:
        """The batches in the order of their time."""
        return sorted(self.batches.values(), key=lambda b: (b.header.from_us, b.header.to_us))

    def want(self, *, kinds: Iterable[str], from_us: int, to_us: int, run: str = "r") -> None:
        """Want a run; it stays wanted over restarts of the broker."""
        wanted = {"run": run, "kinds": list(kinds), "from_us": from_us, "to_us": to_us}
        self._control = json.dumps({"format": 1, "runs": [wanted]}).encode()
        self._control_changed.set()

    async def until_covered(self, moment_us: int) -> None:
        """Return once a batch ends at a moment or later."""
        while not any(batch.header.to_us >= moment_us for batch in self.batches.values()):
            self._arrived.clear()
            await self._arrived.wait()

    async def run(self) -> None:
        """Hold sessions until it is cancelled."""
        wanted = [topics.telemetry_topic(self._agent_id), topics.status_topic(self._agent_id)]
        while True:
            with contextlib.suppress(SinkError, ExceptionGroup):
                async with (
                    self._sink.open(topics=wanted, will=WILL) as session,
                    asyncio.TaskGroup() as group,
                ):
                    group.create_task(self._speak(session))
                    group.create_task(self._listen(session))
            await asyncio.sleep(RETRY_S)

    async def _speak(self, session: Session) -> None:
        while True:
            self._control_changed.clear()
            topic = topics.control_topic(self._agent_id)
            await session.publish(topic, self._control, retain=True)
            await self._control_changed.wait()

    async def _listen(self, session: Session) -> None:
        async with contextlib.aclosing(session.messages()) as messages:
            async for topic, payload, _ in messages:
                if topic == topics.status_topic(self._agent_id):
                    self.statuses.append(json.loads(payload))
                    continue
                self._take(decode(payload))
                if not self.is_silent:
                    await session.publish(topics.ack_topic(self._agent_id), self._ack())

    def _take(self, batch: Batch) -> None:
        key = batch.header.boot_id, batch.header.sequence
        self.duplicates += key in self.batches
        self.batches[key] = batch
        self._arrived.set()

    def _ack(self) -> bytes:
        by_boot: dict[str, list[int]] = defaultdict(list)
        for boot_id, sequence in self.batches:
            by_boot[boot_id].append(sequence)
        acks = [
            {"boot_id": boot_id, "stream": "main", "high": 0, "ranges": [[n, n] for n in numbers]}
            for boot_id, numbers in by_boot.items()
        ]
        return json.dumps({"format": 1, "acks": acks}).encode()
