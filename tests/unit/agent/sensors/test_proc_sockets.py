import socket
from pathlib import Path

import pytest

from agent.errors import SocketTableError
from agent.sensors.proc_sockets import ProcTable
from agent.sensors.socket_rows import TcpState

HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


def line(local: str, remote: str, state: TcpState | int, *, inode: int = 7) -> str:
    return f" 0: {local} {remote} {state:02X} 0:0 00:0 0 1000 0 {inode} 1 ffff8880\n"


ANY = "00000000:0000"
ANY6 = "0" * 32 + ":0000"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tcp = line("00000000:0050", ANY, TcpState.LISTEN) + line(
        "7F7F7F7F:0050", "01010101:C000", TcpState.ESTABLISHED, inode=8
    )
    tcp += line("7F7F7F7F:0050", "01010101:C001", TcpState.TIME_WAIT, inode=0)
    (tmp_path / "tcp").write_text(HEADING + tcp)
    (tmp_path / "tcp6").write_text(HEADING + line("0" * 32 + ":0051", ANY6, TcpState.LISTEN))
    (tmp_path / "udp").write_text(HEADING + line("00000000:0035", ANY, TcpState.CLOSE))
    return tmp_path


def test_listeners_are_of_both_families(folder: Path) -> None:
    found = ProcTable(folder).listeners()

    assert [(row.family, row.local_address, row.local_port) for row in found] == [
        (socket.AF_INET, "0.0.0.0", 80),  # noqa: S104
        (socket.AF_INET6, "::", 81),
    ]


def test_connections_are_those_in_the_wanted_states(folder: Path) -> None:
    table = ProcTable(folder)

    assert [row.remote_port for row in table.connections()] == [0xC000, 0xC001]
    (row,) = table.connections([TcpState.ESTABLISHED])
    assert (row.local_address, row.remote_address) == ("127.127.127.127", "1.1.1.1")
    assert (row.uid, row.inode, row.cookie, row.pid) == (1000, 8, 0, None)


def test_udp_sockets_are_bound_ones(folder: Path) -> None:
    assert [(row.protocol, row.local_port) for row in ProcTable(folder).udp()] == [("udp", 53)]


def test_kernel_without_ipv6_has_the_other_sockets(folder: Path) -> None:
    (folder / "tcp6").unlink()
    assert len(ProcTable(folder).listeners()) == 1


def test_missing_or_strange_table_is_an_error_of_the_sensor(folder: Path) -> None:
    (folder / "tcp").write_text(HEADING + "nonsense\n")
    with pytest.raises(SocketTableError, match="cannot decode tcp"):
        ProcTable(folder).listeners()
    (folder / "tcp").unlink()
    with pytest.raises(SocketTableError, match="tcp is missing"):
        ProcTable(folder).listeners()
    (folder / "tcp").mkdir()
    with pytest.raises(SocketTableError, match="directory"):
        ProcTable(folder).listeners()
