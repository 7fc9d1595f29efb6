from pathlib import Path

import pytest

from agent.sensors.activity import TcpActivity, read_counters

SNMP = (
    b"Ip: Forwarding DefaultTTL\nIp: 1 64\n"
    b"Tcp: RtoAlgorithm ActiveOpens PassiveOpens CurrEstab\nTcp: 1 2114 2063 7\n"
)


def test_counters_are_found_by_name() -> None:
    assert read_counters(SNMP) == (2114, 2063, 7)


@pytest.mark.parametrize("text", [b"", b"Tcp: ActiveOpens\nTcp: 1\n", b"Tcp: a b\nTcp: 1\n"])
def test_file_without_them_is_refused(text: bytes) -> None:
    with pytest.raises(OSError, match="no TCP counters"):
        read_counters(text)


def test_file_is_read_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "snmp"
    path.write_bytes(SNMP)
    with TcpActivity(path) as activity:
        before = activity.read()
        path.write_bytes(SNMP.replace(b"2063", b"2064"))

        assert activity.read() != before


def test_unreadable_file_leaves_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "snmp"
    path.write_bytes(b"nothing")

    with pytest.raises(OSError, match="no TCP counters"):
        TcpActivity(path)
