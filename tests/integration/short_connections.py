"""Makes short connections, and tells which: a program for tests of what the kernel tells.

``serve`` prints its port, answers and closes until standard input ends.
``connect PORT TIMES PAUSE_S [CPU]`` opens, uses and closes, one after the other, and prints its
ports; on one CPU alone if that is given.
``alone TIMES`` does both in a new network namespace; prints pid and port of the server, then ports.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading
import time

LOOPBACK = "127.0.0.1"
SIOCSIFFLAGS = 0x8914
IFF_UP_RUNNING = 0x41


def serve() -> None:
    server = socket.create_server((LOOPBACK, 0), backlog=512)
    say(server.getsockname()[1])
    threading.Thread(target=answer, args=(server,), daemon=True).start()
    sys.stdin.read()


def answer(server: socket.socket) -> None:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.recv(16)


def connect(port: int, times: int, pause_s: float) -> None:
    ports = []
    for _ in range(times):
        with socket.create_connection((LOOPBACK, port)) as connection:
            connection.sendall(b"0123456789")
            ports.append(connection.getsockname()[1])
        if pause_s:
            time.sleep(pause_s)
    say(*ports)


def alone(times: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP_RUNNING))
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        say(server.pid, port)
        connect(port, times, 0.001)
        server.communicate()


def say(*numbers: int) -> None:
    sys.stdout.write(" ".join(map(str, numbers)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    elif sys.argv[1] == "alone":
        alone(int(sys.argv[2]))
    else:
        if len(sys.argv) > 5:
            os.sched_setaffinity(0, {int(sys.argv[5])})
        connect(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
