import time

from rules.telemetry.clock import Clock, ManualClock, SystemClock


def test_the_system_clock_is_utc_microseconds() -> None:
    clock: Clock = SystemClock()
    assert abs(clock.now_us() / 1e6 - time.time()) < 5
    first = clock.monotonic_s()
    assert clock.monotonic_s() >= first


def test_a_manual_clock_moves_when_told() -> None:
    clock = ManualClock(1_000_000)
    before: Clock = clock
    assert before.now_us() == 1_000_000
    clock.advance(1.5)
    assert clock.now_us() == 2_500_000
    assert clock.monotonic_s() == 2.5
