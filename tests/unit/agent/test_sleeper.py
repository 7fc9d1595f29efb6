import os
import threading
import time
from collections.abc import Iterator

import pytest

from agent.sensors.sensor import Wake
from agent.sleeper import Sleeper
from rules.telemetry import SystemClock

FAR_S = 60.0


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    sleeper = Sleeper(SystemClock(), slack_s=0.004)
    yield sleeper
    sleeper.close()


def at(seconds: float, fileno: int | None = None) -> Wake:
    return Wake(time.monotonic() + seconds, fileno)


def test_what_is_due_is_told(sleeper: Sleeper) -> None:
    assert sleeper.sleep([at(0.002), at(FAR_S), None]) == [True, False, False]


def test_what_is_due_soon_after_is_done_with_it(sleeper: Sleeper) -> None:
    assert sleeper.sleep([at(0.0), at(0.002), at(FAR_S)]) == [True, True, False]


def test_readable_descriptor_ends_the_sleep(sleeper: Sleeper) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"x")

    assert sleeper.sleep([at(FAR_S), at(FAR_S, reading)]) == [False, True]
    os.close(reading)
    os.close(writing)


def test_what_becomes_readable_waits_for_more(sleeper: Sleeper) -> None:
    (first, ring), (second, other) = os.pipe(), os.pipe()
    os.write(ring, b"x")
    threading.Timer(0.001, os.write, (other, b"x")).start()

    assert sleeper.sleep([at(FAR_S, first), at(0.003), at(FAR_S, second)]) == [True, True, True]
    for each in (first, ring, second, other):
        os.close(each)


def test_bell_ends_this_sleep_and_every_later_one(sleeper: Sleeper) -> None:
    threading.Timer(0.002, sleeper.ring).start()

    assert sleeper.sleep([at(FAR_S)]) == [False]
    assert sleeper.sleep([]) == []
    assert sleeper.is_rung
