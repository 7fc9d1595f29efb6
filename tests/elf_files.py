"""ELF files, made field by field."""

import struct

LOAD, DYNAMIC, INTERP, STACK, RELRO = 1, 2, 3, 0x6474E551, 0x6474E552
STRTAB, STRSZ, BIND_NOW, FLAGS, FLAGS_1 = 5, 10, 24, 30, 0x6FFFFFFB
EXEC, DYN = 2, 3
HEADER_BYTES = {True: 64, False: 52}


def elf(
    *,
    file_type: int = DYN,
    segments: tuple[tuple[int, int], ...] = ((INTERP, 4), (STACK, 6), (RELRO, 4)),
    tags: dict[int, int] | None = None,
    names: bytes = b"\0puts\0",
    is_64: bool = True,
    order: str = "<",
) -> bytes:
    """Return a file whose one loaded segment is the whole of it, at address 0x1000."""
    wanted = [(LOAD, 5), *segments, *([(DYNAMIC, 6)] if tags is not None else [])]
    entry = 56 if is_64 else 32
    names_at = HEADER_BYTES[is_64] + entry * len(wanted)
    dynamic_at = names_at + len(names)
    entries = [*(tags or {}).items(), (STRTAB, 0x1000 + names_at), (STRSZ, len(names)), (0, 0)]
    dynamic = b"".join(struct.pack(order + ("QQ" if is_64 else "II"), *item) for item in entries)
    size = dynamic_at + len(dynamic)
    place = {LOAD: (0, 0x1000, size), DYNAMIC: (dynamic_at, 0x1000 + dynamic_at, len(dynamic))}
    headers = b""
    for kind, flags in wanted:
        offset, address, length = place.get(kind, (0, 0, 0))
        if is_64:
            fields = (kind, flags, offset, address, address, length, length, 8)
            headers += struct.pack(order + "IIQQQQQQ", *fields)
        else:
            fields = (kind, offset, address, address, length, length, flags, 4)
            headers += struct.pack(order + "IIIIIIII", *fields)
    identity = b"\x7fELF" + bytes([2 if is_64 else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    shape = order + ("HHIQQQIHHHHHH" if is_64 else "HHIIIIIHHHHHH")
    sizes = (HEADER_BYTES[is_64], entry, len(wanted), 0, 0, 0)
    header = struct.pack(shape, file_type, 62, 1, 0, HEADER_BYTES[is_64], 0, 0, *sizes)
    return identity + header + headers + names + dynamic
