"""The broker's port: whether it is free, and whether MQTT answers on it.

In: an address. Out: a port, an answer, or an error that names the remedy.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import time

from analyzer.errors import BrokerError

_RELEASE_S = 1.0  # a broker that is just ending may hold the port this long
_RETRY_S = 0.05
_ANSWER_S = 1.0
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (compared only)

# CONNECT of MQTT 3.1.1: clean session, no keep-alive, client id "probe"; and CONNACK "accepted".
_CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05probe"
_ACCEPTED = b"\x20\x02\x00\x00"


def take_port(host: str, port: int) -> int:
    """Return ``port`` if it is free, or some free port for 0; blocks for up to a second.

    Raises:
        BrokerError: Another program listens there, or the address is none of this host.
    """
    deadline_s = time.monotonic() + _RELEASE_S
    while True:
        try:
            return _bind(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                why = f"cannot listen on {host}:{port}: {error.strerror}"
                raise BrokerError(f"The broker {why}. Choose with --mqtt-listen.") from error
            if time.monotonic() > deadline_s:
                raise BrokerError(
                    f"MQTT port {host}:{port} is taken by another program. Stop it, or choose "
                    f"another port: --mqtt-listen {host}:0 takes a free one."
                ) from error
        time.sleep(_RETRY_S)


async def answers_mqtt(host: str, port: int) -> bool:
    """Tell whether an MQTT broker accepts a connection."""
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await asyncio.open_connection(_LOOPBACK.get(host, host), port)
            try:
                writer.write(_CONNECT)
                return await reader.readexactly(len(_ACCEPTED)) == _ACCEPTED
            finally:
                writer.close()
    return False


def is_open_to_network(host: str) -> bool:
    """Tell whether others than this host can reach the address."""
    with contextlib.suppress(ValueError):
        return not ipaddress.ip_address(host).is_loopback
    return host != "localhost"


def _bind(host: str, port: int) -> int:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        taken: int = probe.getsockname()[1]
        return taken
