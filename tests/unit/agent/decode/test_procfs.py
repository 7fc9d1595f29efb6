import pytest

from agent.decode.procfs import (
    ProcessStat,
    read_boot_time_us,
    read_container_id,
    read_effective_uid,
    read_executable,
    read_stat,
)
from agent.errors import DecodeError

ID = "0123456789abcdef" * 4
TASK = "0123456789abcdef" * 2


def stat_of(name: bytes) -> bytes:
    return b"77 (" + name + b") S 12" + b" 0" * 17 + b" 4711 0 0\n"


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"nginx", "nginx"),
        (b"a b", "a b"),
        (b") R 1 2 (", ") R 1 2 ("),
        (b"", ""),
        (b"\xff\n", "\N{REPLACEMENT CHARACTER}\n"),
    ],
)
def test_stat_takes_any_name(raw: bytes, name: str) -> None:
    assert read_stat(stat_of(raw)) == ProcessStat(name, parent_pid=12, start_ticks=4711)


@pytest.mark.parametrize(
    "content", [b"", b"77 (x) S", b"77 x S 12" + b" 0" * 30, b")(" + b" 1" * 30]
)
def test_stat_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(DecodeError):
        read_stat(content)


def test_effective_uid_is_the_second_number() -> None:
    assert read_effective_uid(b"Name:\tx\nUid:\t0\t33\t33\t33\nGid:\t5\t6\t7\t8\n") == 33


@pytest.mark.parametrize("content", [b"", b"Uid:\t1\t2", b"Name:\tx\nUid:\t1\n", b"\nUid:\ta\tb\n"])
def test_status_without_effective_uid_is_refused(content: bytes) -> None:
    with pytest.raises(DecodeError):
        read_effective_uid(content)


def test_boot_time_in_microseconds() -> None:
    assert read_boot_time_us(b"cpu 1 2\nbtime 1790000000\nprocesses 1\n") == 1_790_000_000_000_000


def test_boot_time_that_is_missing_is_refused() -> None:
    with pytest.raises(DecodeError, match="btime"):
        read_boot_time_us(b"cpu 1 2\nnobtime 5\n")


@pytest.mark.parametrize(
    "group",
    [
        f"12:pids:/docker/{ID}\n11:cpu:/docker/{ID}\n0::/\n",
        f"0::/system.slice/docker-{ID}.scope\n",
        f"0::/docker/{'9' * 64}/docker/{ID}\n",
        f"0::/system.slice/nerdctl-{ID}.scope\n",
        f"0::/default/{ID}\n",
        f"0::/machine.slice/libpod-{ID}.scope/container\n",
        f"0::/kubepods/besteffort/pod5a2b/{ID}\n",
        f"0::/kubepods.slice/kubepods-pod5a.slice/cri-containerd-{ID}.scope\n",
        f"0::/kubepods.slice/kubepods-pod5a.slice/crio-{ID}.scope\n",
        f"5:cpu:/ecs/{TASK}/{ID}",
    ],
)
def test_container_id_of_runtimes(group: str) -> None:
    assert read_container_id(group.encode()) == ID


def test_container_id_of_a_fargate_task() -> None:
    group = f"5:cpu:/ecs/{TASK}/{TASK}-2531612879\n"
    assert read_container_id(group.encode()) == f"{TASK}-2531612879"


@pytest.mark.parametrize(
    "group",
    [
        "",
        "0::/\n",
        "0::/user.slice/user-1000.slice/session-4.scope\n",
        f"0::/machine.slice/libpod-conmon-{ID}.scope\n",
        f"0::/docker/{ID}0\n",
        f"0::/docker/{ID[:-1]}g\n",
    ],
)
def test_container_id_outside_containers(group: str) -> None:
    assert read_container_id(group.encode()) is None


def test_executable_that_was_replaced_keeps_its_path() -> None:
    assert read_executable(b"/usr/sbin/nginx (deleted)") == "/usr/sbin/nginx"
    assert read_executable(b"/opt/\xff") == "/opt/\N{REPLACEMENT CHARACTER}"
