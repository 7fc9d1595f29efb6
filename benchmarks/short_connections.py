"""Short connections at a steady rate: traffic for benchmarks of what watches it.

``python -m benchmarks.short_connections RATE SECONDS [HELLO_EVERY]`` opens, uses and closes
connections of about 0.2 ms, both ends in this process, at an address of their own. Every so many
begin with a ClientHello. Prints one JSON object: the port of the server, the client's ports and how
many hellos were sent.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
import time

from benchmarks.tls_traffic import client_hello

ADDRESS = "127.0.0.9"
TEXT = b"0123456789"


def main(rate: float, seconds: float, hello_every: int = 0) -> None:
    """Make the connections, and tell of them."""
    server = socket.create_server((ADDRESS, 0), backlog=512)
    threading.Thread(target=_serve, args=(server,), daemon=True).start()
    target, rng = server.getsockname(), random.Random(7)
    ports: list[int] = []
    hellos = 0
    begin_s = time.monotonic()
    while (now_s := time.monotonic()) < begin_s + seconds:
        if len(ports) >= (now_s - begin_s) * rate:
            time.sleep(0.5 / rate)
            continue
        is_hello = bool(hello_every) and len(ports) % hello_every == 0
        hellos += is_hello
        with socket.create_connection(target, source_address=(ADDRESS, 0)) as connection:
            connection.sendall(client_hello(rng) if is_hello else TEXT)
            connection.recv(100)
            ports.append(connection.getsockname()[1])
    print(json.dumps({"server": target[1], "ports": ports, "hellos": hellos}), flush=True)


def _serve(server: socket.socket) -> None:
    """Answer each connection and close it."""
    while True:
        connection, _ = server.accept()
        with connection:
            connection.recv(4_096)
            connection.sendall(TEXT)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), *map(int, sys.argv[3:]))
