"""DNS messages as name servers write them."""

import struct
from collections.abc import Sequence
from ipaddress import ip_address


def name(text: str) -> bytes:
    labels = [label.encode() for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def record(kind: int, content: bytes, *, ttl_s: int = 60, owner: bytes = b"\xc0\x0c") -> bytes:
    return owner + struct.pack(">HHIH", kind, 1, ttl_s, len(content)) + content


def address(text: str, *, ttl_s: int = 60) -> bytes:
    packed = ip_address(text).packed
    return record(1 if len(packed) == 4 else 28, packed, ttl_s=ttl_s)


def dns(
    question: str | bytes, answers: Sequence[bytes] = (), *, flags: int = 0x8180, kind: int = 1
) -> bytes:
    asked = name(question) if isinstance(question, str) else question
    head = struct.pack(">HHHHHH", 7, flags, 1, len(answers), 0, 0)
    return head + asked + struct.pack(">HH", kind, 1) + b"".join(answers)
