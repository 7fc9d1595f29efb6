import errno
import platform

import pytest

from agent.errors import PerfError
from agent.sensors import perf_event
from agent.sensors.perf_event import Tracing, open_event, pack_attributes
from agent.sensors.system_calls import find_system_calls


def field(attributes: bytes, offset: int, size: int) -> int:
    return int.from_bytes(attributes[offset : offset + size], "little")


def test_attributes_lie_where_the_kernel_looks_for_them() -> None:
    attributes = pack_attributes(Tracing(2_287, 65_536, with_tasks=True))

    assert len(attributes) == field(attributes, 4, 4) == 112
    assert field(attributes, 0, 4) == 2  # a tracepoint
    assert field(attributes, 8, 8) == 2_287
    assert field(attributes, 16, 8) == 1  # every time
    assert field(attributes, 24, 8) == 0x406  # thread, time, raw record
    assert field(attributes, 48, 4) == 65_536
    assert field(attributes, 92, 4) == 1  # CLOCK_MONOTONIC


@pytest.mark.parametrize(("with_tasks", "flags"), [(True, 0x2046201), (False, 0x2044001)])
def test_processes_come_along_once(with_tasks: bool, flags: int) -> None:  # noqa: FBT001
    assert field(pack_attributes(Tracing(1, 1, with_tasks=with_tasks)), 40, 8) == flags


def test_unknown_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    with pytest.raises(PerfError, match="open an event on s390x") as caught:
        open_event(Tracing(1, 1, with_tasks=False), 0)
    assert caught.value.errno == errno.ENOSYS


def test_refusal_of_the_kernel_is_told() -> None:
    if find_system_calls() is None:
        pytest.skip("system calls of this machine are not known")
    with pytest.raises(PerfError, match="the kernel refuses to open an event"):
        open_event(Tracing(1, 1, with_tasks=False), 1_000_000)  # there is no such CPU


def test_refused_control_is_told() -> None:
    with pytest.raises(PerfError, match="switch an event on"):
        perf_event.enable(0x7FFF)
