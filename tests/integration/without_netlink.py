"""Runs the agent as a service whose unit forbids AF_NETLINK: a program for a test.

systemd's RestrictAddressFamilies= is such a filter on the call socket(2). Source: seccomp(2).
"""

import ctypes
import os
import socket
import struct
import sys

from agent.cli import main

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
SOCKET_CALLS = {"x86_64": 41, "aarch64": 198}
LOAD, IS_EQUAL, RETURN = 0x20, 0x15, 0x06
CALL_NUMBER, FIRST_ARGUMENT = 0, 16  # places in struct seccomp_data, little-endian
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 97  # EAFNOSUPPORT


def forbid_netlink() -> None:
    steps = [
        (LOAD, 0, 0, CALL_NUMBER),
        (IS_EQUAL, 0, 3, SOCKET_CALLS[os.uname().machine]),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (IS_EQUAL, 0, 1, socket.AF_NETLINK),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(PR_SET_SECCOMP, MODE_FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "no filter of calls here")


if __name__ == "__main__":
    forbid_netlink()
    raise SystemExit(main(sys.argv[1:]))
