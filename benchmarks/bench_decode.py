"""How fast is recorded traffic decoded, next to dpkt, scapy and tshark?

Every program reads the same pcap file and counts ClientHellos; the run stops if two counts differ.
Ours does more: it puts connections together, computes JA3 and JA4, and reads ServerHellos and
certificates; ``events`` adds what ``proctor-agent read`` adds, rows. scapy reads a part of the
file, since the whole would take minutes. CPU time counts.
"""

from __future__ import annotations

import importlib.util
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from agent.correlate.sides import Sides
from agent.decode.capture_file import CaptureFile
from agent.decode.facts import ContentSeen
from agent.decode.traffic import Traffic
from agent.read import TrafficReader
from benchmarks.reports import make_parser, write_report
from benchmarks.tls_traffic import PACKETS_EACH, write_capture

CONNECTIONS = 28_968
QUICK_CONNECTIONS = 3_000
SCAPY_CONNECTIONS = 800
ROUNDS = 3
GOAL_PER_S = 78_000  # of a prototype that read ClientHellos only


class Program(NamedTuple):
    """What reads a capture and counts its ClientHellos."""

    name: str
    count: Callable[[Path], int]
    path: Path
    rounds_max: int = 1_000


class Cell(NamedTuple):
    """What one program came to."""

    program: str
    packets: int
    client_hellos: int
    cpu_s: float
    packets_per_s: float


def decode(path: Path) -> int:
    """Return the ClientHellos that the decoders find."""
    traffic = Traffic()
    hellos = 0
    with CaptureFile(path) as file:
        for number, (ts_us, link, data) in enumerate(file.frames()):
            traffic.add(data, link, ts_us)
            if number % 1_024 == 0:
                hellos += _hellos(traffic)
    traffic.end(ts_us)
    return hellos + _hellos(traffic)


def _hellos(traffic: Traffic) -> int:
    seen = (fact.values for fact in traffic.drain() if isinstance(fact, ContentSeen))
    return sum("ja4" in values for values in seen)


def make_events(path: Path) -> int:
    """Return the sessions among all rows that ``proctor-agent read`` makes."""
    reader = TrafficReader(path, agent_id="bench", sides=Sides())
    return sum(event.kind == "tls_session" for event in reader.read())


def read_with_dpkt(path: Path) -> int:
    """Return the ClientHellos that dpkt reads, segment by segment."""
    import dpkt

    hellos = 0
    with path.open("rb") as file:
        for _, data in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(data).data
            payload = ip.data.data
            if len(payload) < 6 or payload[0] != 22 or payload[5] != 1:  # noqa: PLR2004
                continue
            records, _ = dpkt.ssl.tls_multi_factory(payload)
            hello = dpkt.ssl.TLSHandshake(records[0].data)
            hellos += isinstance(hello.data, dpkt.ssl.TLSClientHello)
    return hellos


def read_with_scapy(path: Path) -> int:
    """Return the ClientHellos that scapy reads."""
    from scapy.layers.inet import TCP
    from scapy.layers.l2 import Ether
    from scapy.layers.tls.all import TLS, TLSClientHello
    from scapy.utils import RawPcapReader

    hellos = 0
    for data, _ in RawPcapReader(str(path)):
        segment = Ether(data)[TCP]
        payload = bytes(segment.payload)
        if payload[:1] == b"\x16":
            hellos += TLS(payload).haslayer(TLSClientHello) > 0
    return hellos


def read_with_tshark(path: Path) -> int:
    """Return the ClientHellos that tshark finds."""
    command = ["tshark", "-n", "-r", str(path), "-Y", "tls.handshake.type==1", "-T", "fields"]
    fields = ["-e", "tls.handshake.ja3", "-e", "tls.handshake.extensions_server_name"]
    done = subprocess.run([*command, *fields], capture_output=True, check=True)
    return done.stdout.count(b"\n")


def measure(programs: Sequence[Program], rounds: int) -> list[Cell]:
    """Let the programs take turns; return the best round of each, in CPU time with children."""
    times: dict[str, list[float]] = {program.name: [] for program in programs}
    hellos: dict[str, int] = {}
    for number in range(rounds):
        for program in programs:
            if number >= program.rounds_max:
                continue
            begin_s = _cpu_s()
            hellos[program.name] = program.count(program.path)
            times[program.name].append(_cpu_s() - begin_s)
    cells = []
    for program in programs:
        packets, best_s = _count_packets(program.path), min(times[program.name])
        cells.append(
            Cell(
                program.name,
                packets,
                hellos[program.name],
                round(best_s, 3),
                round(packets / best_s),
            )
        )
    return cells


def choose(whole: Path, part: Path) -> list[Program]:
    """Return the programs that are installed."""
    programs = [
        Program("proctor, decoders", decode, whole),
        Program("proctor, events", make_events, whole),
    ]
    if importlib.util.find_spec("dpkt"):
        programs.append(Program("dpkt", read_with_dpkt, whole))
    if shutil.which("tshark"):
        programs.append(Program("tshark", read_with_tshark, whole))
    if importlib.util.find_spec("scapy"):
        programs.append(Program("scapy, part", read_with_scapy, part, rounds_max=1))
    return programs


def main() -> None:
    """Measure, print and write."""
    options = make_parser(__doc__, "decode").parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole, part = Path(folder) / "whole.pcap", Path(folder) / "part.pcap"
        write_capture(whole, QUICK_CONNECTIONS if options.quick else CONNECTIONS)
        write_capture(part, SCAPY_CONNECTIONS)
        cells = measure(choose(whole, part), 1 if options.quick else ROUNDS)
    for cell in cells:
        print(f"{cell.program:<20} {cell.packets_per_s:>9,} packets/s  {cell.client_hellos:>7,}")
        expected = cell.packets // PACKETS_EACH
        if cell.client_hellos != expected:
            sys.exit(f"{cell.program} found {cell.client_hellos} of {expected} ClientHellos")
    print(f"goal                 {GOAL_PER_S:>9,} packets/s")
    write_report(options, __doc__, "decode", cells=[cell._asdict() for cell in cells])


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _count_packets(path: Path) -> int:
    packets = 0
    with path.open("rb") as file:
        file.seek(24)
        while head := file.read(16):
            file.seek(struct.unpack("<8xI4x", head)[0], 1)
            packets += 1
    return packets


if __name__ == "__main__":
    main()
