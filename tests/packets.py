"""Packets and capture files as networks and tools write them, for tests without a network."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from agent.decode.packet import ACK, FIN, SYN

CLIENT, SERVER = ("10.0.0.1", 40_000), ("10.0.0.2", 443)
End = tuple[str, int]


def ip(source: str, destination: str, payload: bytes, *, protocol: int = 6) -> bytes:
    """Return an IP packet, of version 6 where the addresses are."""
    addresses = ip_address(source).packed + ip_address(destination).packed
    if len(addresses) == 8:
        return (
            struct.pack(">BxHHHBBH", 0x45, 20 + len(payload), 1, 0, 64, protocol, 0)
            + addresses
            + payload
        )
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + addresses + payload


def tcp(
    source: End, destination: End, payload: bytes = b"", *, sequence: int = 1, flags: int = ACK
) -> bytes:
    """Return an IP packet with a TCP segment."""
    header = struct.pack(
        ">HHIIBBHHH", source[1], destination[1], sequence & 0xFFFF_FFFF, 1, 0x50, flags, 8192, 0, 0
    )
    return ip(source[0], destination[0], header + payload)


def udp(source: End, destination: End, payload: bytes = b"") -> bytes:
    """Return an IP packet with a UDP datagram."""
    header = struct.pack(">HHHH", source[1], destination[1], 8 + len(payload), 0)
    return ip(source[0], destination[0], header + payload, protocol=17)


def ethernet(packet: bytes, *, tags: Sequence[int] = (), kind: int | None = None) -> bytes:
    """Return an Ethernet frame, with VLAN tags of these types."""
    number = kind or (0x0800 if packet[0] >> 4 == 4 else 0x86DD)
    vlans = b"".join(struct.pack(">HH", tag, 7) for tag in tags)
    return bytes(12) + vlans + struct.pack(">H", number) + packet


@dataclass(slots=True)
class Talk:
    """A TCP connection written down packet by packet, a millisecond apart."""

    client: End = CLIENT
    server: End = SERVER
    first_us: int = 1_000_000
    sequences: list[int] = field(default_factory=lambda: [1_000, 5_000])
    packets: list[tuple[int, bytes]] = field(default_factory=list)

    def open(self) -> "Talk":
        self._add(0, flags=SYN)
        self._add(1, flags=SYN | ACK)
        return self._add(0)

    def say(self, *pieces: bytes, size: int = 1_400) -> "Talk":
        """Let the client send, each piece in segments of at most ``size``."""
        return self._send(0, pieces, size)

    def answer(self, *pieces: bytes, size: int = 1_400) -> "Talk":
        return self._send(1, pieces, size)

    def close(self) -> "Talk":
        self._add(0, flags=FIN | ACK)
        self._add(1, flags=FIN | ACK)
        return self._add(0)

    def wait(self, duration_us: int) -> "Talk":
        self.first_us += duration_us
        return self

    def reset(self, *, by_server: bool = False) -> "Talk":
        return self._add(int(by_server), flags=0x04 | ACK)

    def _send(self, way: int, pieces: Iterable[bytes], size: int) -> "Talk":
        for piece in pieces:
            for start in range(0, len(piece), size):
                self._add(way, piece[start : start + size])
        return self

    def _add(self, way: int, payload: bytes = b"", *, flags: int = ACK) -> "Talk":
        ends = (self.client, self.server) if way == 0 else (self.server, self.client)
        packet = tcp(*ends, payload, sequence=self.sequences[way], flags=flags)
        self.sequences[way] += len(payload) + bool(flags & (SYN | FIN))
        self.packets.append((self.first_us + 1_000 * len(self.packets), packet))
        return self


def pcap(
    packets: Iterable[tuple[int, bytes]],
    *,
    order: str = "<",
    link: int = 101,
    nanoseconds: bool = False,
) -> bytes:
    """Return a pcap file."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    parts = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262_144, link)]
    for ts_us, data in packets:
        fraction = ts_us % 1_000_000 * (1_000 if nanoseconds else 1)
        parts.append(
            struct.pack(f"{order}IIII", ts_us // 1_000_000, fraction, len(data), len(data)) + data
        )
    return b"".join(parts)


def block(kind: int, content: bytes, *, order: str = "<") -> bytes:
    """Return a pcapng block."""
    padded = content + bytes(-len(content) % 4)
    size = struct.pack(f"{order}I", 12 + len(padded))
    return struct.pack(f"{order}I", kind) + size + padded + size


def option(number: int, value: bytes, *, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH", number, len(value)) + value + bytes(-len(value) % 4)


def section(*, order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order=order)


def interface(link: int = 101, options: bytes = b"", *, order: str = "<") -> bytes:
    return block(1, struct.pack(f"{order}HHI", link, 0, 0) + options, order=order)


def enhanced(units: int, data: bytes, *, number: int = 0, order: str = "<") -> bytes:
    head = struct.pack(
        f"{order}IIIII", number, units >> 32, units & 0xFFFF_FFFF, len(data), len(data)
    )
    return block(6, head + data, order=order)


def pcapng(packets: Iterable[tuple[int, bytes]], *, order: str = "<", link: int = 101) -> bytes:
    """Return a pcapng file with one interface and microseconds."""
    parts = [section(order=order), interface(link, order=order)]
    return b"".join([*parts, *(enhanced(ts_us, data, order=order) for ts_us, data in packets)])
