"""Publishes to a broker from many tasks at once, on one kind of event loop, and comes back at once.

Run as ``session_probe.py asyncio|uvloop URL PUBLISHERS``; says ``sent`` for each message. A test
kills the broker meanwhile. This is the hardest case: the agent publishes from few tasks, and waits
before it comes back.
"""

import asyncio
import contextlib
import sys

from agent.config import Settings
from agent.errors import SinkError
from agent.sinks import Message, Session
from agent.sinks.mqtt import MqttSink

PAYLOAD = bytes(20_000)


async def _read(session: Session) -> None:
    async with contextlib.aclosing(session.messages()) as messages:
        async for _ in messages:
            pass


async def _publish(session: Session) -> None:
    while True:
        await session.publish("probe/data", PAYLOAD)
        sys.stdout.write("sent\n")
        sys.stdout.flush()


async def _hold(sink: MqttSink, publishers: int) -> None:
    will = Message("probe/will", b"")
    async with (
        sink.open(topics=["probe/data"], will=will) as session,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(_read(session))
        for _ in range(publishers):
            group.create_task(_publish(session))


async def main(url: str, publishers: int) -> None:
    sink = MqttSink(Settings(broker_url=url, connect_timeout_s=10), identifier="probe")
    while True:
        with contextlib.suppress(SinkError, ExceptionGroup):
            await _hold(sink, publishers)
        await asyncio.sleep(0)


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.run(main(sys.argv[2], int(sys.argv[3])))
    else:
        asyncio.run(main(sys.argv[2], int(sys.argv[3])))
