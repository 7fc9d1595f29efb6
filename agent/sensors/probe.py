"""The probe sensor: asks this host's own TCP listeners which TLS versions they offer.

In: the listeners that are known now. Out: ``TlsAnswered``. It never connects to another host, asks
each listener once after it appeared and then seldom, and its connections are left out of what the
other sensors see.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent.sensors.observations import Listener, Observation, TlsAnswered
from agent.sensors.pace import at_tick
from agent.sensors.sensor import Capability, Stats, Tools, Wake, Watch
from agent.sensors.tls_probe import ProbeResult, probe_listener

if TYPE_CHECKING:
    from agent.sensors.tls_exchange import Endpoint

INTERVAL_S: Final = 600.0  # between two questions to one listener
SETTLE_S: Final = 1.0  # a listener that has just appeared may not answer yet
RESTART_INTERVAL_S: Final = 60.0  # between two questions to a port whose listener keeps changing
TIMEOUT_S: Final = 2.0  # of one connection; six at most for each listener
CONCURRENCY: Final = 2  # listeners asked at a time
GAP_S: Final = 0.2  # after each listener, for each of them
MAX_LISTENERS: Final = 10_000  # remembered; the oldest are forgotten and asked again
MAX_ANSWERS: Final = 10_000  # that wait to be drained; above, new ones are lost and counted
CHECK_S: Final = 1.0  # between looks for new listeners and answers
_STOP_TIMEOUT_S: Final = 2.0

METHOD: Final = "TLS handshakes with own listeners"

_Place = tuple[str, int]  # address and port of a listener


@dataclass(slots=True)
class _Visit:
    """When a place was asked last, and who listened there."""

    pid: int | None
    due_s: float
    asked_s: float = float("-inf")


class Schedule:
    """Which listeners are due to be asked."""

    def __init__(self, *, interval_s: float = INTERVAL_S, settle_s: float = SETTLE_S) -> None:
        self._interval_s = interval_s
        self._settle_s = settle_s
        self._visits: dict[_Place, _Visit] = {}

    def take_due(self, listeners: Iterable[Listener], now_s: float) -> list[Listener]:
        """Return the TCP listeners to ask now; they count as asked."""
        due: list[Listener] = []
        for listener in listeners:
            if listener.protocol != "tcp":
                continue
            visit = self._visit(listener, now_s)
            if visit.due_s <= now_s:
                visit.asked_s = now_s
                visit.due_s = now_s + self._interval_s
                due.append(listener)
        while len(self._visits) > MAX_LISTENERS:
            del self._visits[next(iter(self._visits))]
        return due

    def _visit(self, listener: Listener, now_s: float) -> _Visit:
        place = (listener.address, listener.port)
        pid = listener.process.pid if listener.process is not None else None
        visit = self._visits.get(place)
        if visit is None:
            visit = self._visits[place] = _Visit(pid, now_s + self._settle_s)
        elif visit.pid != pid:
            # Another process took over: it counts as new, but a crash loop is not hammered.
            visit.pid = pid
            again_s = max(now_s + self._settle_s, visit.asked_s + RESTART_INTERVAL_S)
            visit.due_s = min(visit.due_s, again_s)
        return visit


class ProbeSensor:
    """Questions to own listeners, asked from a thread of its own."""

    name = "probe"
    kinds = ("tls_session",)

    def __init__(
        self,
        tools: Tools,
        *,
        schedule: Schedule | None = None,
        ask: Callable[..., Awaitable[list[ProbeResult]]] = probe_listener,
    ) -> None:
        self._tools = tools
        self._clock = tools.clock
        self._schedule = schedule or Schedule()
        self._ask = ask
        self._due_s = 0.0
        self._answers: deque[TlsAnswered] = deque()
        self._asker: _Asker | None = None
        self._is_started = False
        self._seen = self._lost = 0

    def probe(self) -> Capability:
        """Say that it works: it needs nothing but sockets."""
        return Capability("on", METHOD)

    def start(self, kinds: frozenset[str]) -> None:
        """Begin; the thread starts with the first question."""
        del kinds
        self._is_started = True

    def wake(self) -> Wake:
        """Look for new listeners and answers each second."""
        return Wake(self._due_s)

    def drain(self) -> list[Observation]:
        """Hand due listeners to the thread and return the answers there are.

        Raises:
            RuntimeError: The thread has failed.
        """
        now_s = self._clock.monotonic_s()
        self._due_s = at_tick(now_s + CHECK_S)
        due = self._schedule.take_due(self._tools.listeners, now_s)
        if due and self._asker is None:
            self._asker = _Asker(self._ask_one)
            self._asker.start()
        if self._asker is not None:
            self._asker.put(due)
        answers: list[Observation] = []
        while self._answers:
            answers.append(self._answers.popleft())
        return answers

    def stats(self) -> Stats:
        """Return how many answers there were, and what the thread has cost."""
        watching = (Watch(self.kinds, "on", METHOD),) if self._is_started else ()
        cpu_s = self._asker.cpu_s if self._asker is not None else 0.0
        return Stats(self._seen, {("tls_session", "probe_backlog"): self._lost}, watching, cpu_s)

    def blind_spots(self) -> tuple[str, ...]:
        """Return what questions to listeners cannot show."""
        return (
            "TLS of this host's clients is not seen, only what its listeners offer.",
            "A listener is asked once after it appeared and then every 10 minutes.",
            "TLS after STARTTLS, over UDP (QUIC, DTLS) or for certain server names is not seen.",
            "Listeners in other network namespaces, such as those of containers, are not asked.",
        )

    def stop(self) -> None:
        """Break off what is being asked and end the thread."""
        if self._asker is not None:
            self._asker.stop()

    async def _ask_one(self, listener: Listener) -> None:
        results = await self._ask(
            listener.address, listener.port, timeout_s=TIMEOUT_S, on_connection=self._register
        )
        for values in tls_columns(results):
            self._seen += 1
            if len(self._answers) >= MAX_ANSWERS:
                self._lost += 1
                continue
            self._answers.append(
                TlsAnswered(
                    ts_us=self._clock.now_us(),
                    source=self.name,
                    local_address=listener.address,
                    local_port=listener.port,
                    process=listener.process,
                    values=values,
                )
            )

    def _register(self, asking: Endpoint, answering: Endpoint, cookie: int) -> None:
        self._tools.own.add(asking, answering, cookie=cookie, now_us=self._clock.now_us())


class _Asker:
    """A thread with an event loop, that asks a few listeners at a time."""

    def __init__(self, ask: Callable[[Listener], Awaitable[None]]) -> None:
        self._ask = ask
        self._thread = threading.Thread(target=self._work, name="proctor-probe", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._queue: asyncio.Queue[Listener] = asyncio.Queue(MAX_LISTENERS)
        self._stopping = asyncio.Event()
        self._error: BaseException | None = None
        self.cpu_s = 0.0

    def start(self) -> None:
        self._thread.start()

    def put(self, listeners: Sequence[Listener]) -> None:
        if self._error is not None:
            raise RuntimeError("the probe's thread has failed") from self._error
        for listener in listeners:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, listener)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_STOP_TIMEOUT_S)

    def _work(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except Exception as error:  # noqa: BLE001 (the thread's end; ``put`` tells the caller)
            self._error = error

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._serve_one(), name=f"probe-{number}")
                for number in range(CONCURRENCY)
            ]
            await self._stopping.wait()
            for task in tasks:
                task.cancel()

    async def _serve_one(self) -> None:
        while True:
            await self._ask(await self._queue.get())
            self.cpu_s = time.thread_time()
            await asyncio.sleep(GAP_S)


def tls_columns(results: Sequence[ProbeResult]) -> list[dict[str, Any]]:
    """Return the rows that one listener's results make: one for each version it offers.

    A listener that speaks TLS and refuses every version makes one row that says so; what it did
    not offer makes none, since a row has no column for what was asked in vain.
    """
    offered = [_offered(result) for result in results if result.outcome == "offered"]
    if offered or not any(result.outcome == "refused" for result in results):
        return offered
    return [{"handshake": "refused"}]


def _offered(result: ProbeResult) -> dict[str, Any]:
    values: dict[str, Any] = {
        "handshake": "answered",
        "tls_version": result.tls_version,
        "cipher_code": result.cipher_code,
        "cipher_suite": result.cipher_suite,
        "cert_unseen": result.certificate_unseen,
    }
    facts = result.certificate
    if facts is not None:
        values |= {
            "cert_subject": facts.subject,
            "cert_issuer": facts.issuer,
            "cert_not_before_us": facts.not_before_us,
            "cert_not_after_us": facts.not_after_us,
            "cert_self_signed": facts.self_signed,
            "cert_key_type": facts.key_type,
            "cert_key_bits": facts.key_bits,
            "cert_signature": facts.signature,
        }
    return {name: value for name, value in values.items() if value is not None}
