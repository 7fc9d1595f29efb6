"""Identity: which host this is, which incarnation of the agent runs, and what its tags are.

In: settings and a few files of the host, never the network. Out: an ``Identity``, the same after
every restart but for its boot id.
"""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import ConfigError
from rules.telemetry.topics import is_agent_id

BOOT_ID_BYTES: Final = 16
ID_FILE = "agent-id"  # in the state folder; holds an id where the host has none of its own

# On Nitro the firmware tells the instance id; cloud-init writes it down on every kind of instance.
INSTANCE_FILES: Final = (
    "sys/class/dmi/id/board_asset_tag",
    "var/lib/cloud/data/instance-id",
)
MACHINE_ID_FILES: Final = ("etc/machine-id", "var/lib/dbus/machine-id")

_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}")
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")
_SALT = b"proctor-agent\0"  # machine-id(5) asks for a hash, so that the id itself stays here
_HASH_CHARACTERS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A host and one incarnation of its agent. Sequence numbers count within a ``boot_id``."""

    agent_id: str
    boot_id: str
    hostname: str
    version: str
    tags: Mapping[str, str]


def find_agent_id(
    *, configured: str, state_dir: Path, random: bytes, root: Path = Path("/")
) -> str:
    """Return the agent id: as configured, else the EC2 instance id, else one made for this host.

    Args:
        configured: The setting; empty where there is none.
        state_dir: Folder for an id that nothing on this host gives.
        random: What such an id is made of.
        root: Where the host's files are.

    Raises:
        ConfigError: The host has no id, and none can be stored.
    """
    return configured or _instance_id(root) or _machine_id(root) or _stored_id(state_dir, random)


def hostname() -> str:
    """Return the host's name as the kernel has it."""
    return socket.gethostname()


def _instance_id(root: Path) -> str | None:
    texts = (_text(root / name) for name in INSTANCE_FILES)
    return next((text for text in texts if _INSTANCE_ID.fullmatch(text)), None)


def _machine_id(root: Path) -> str | None:
    for name in MACHINE_ID_FILES:
        text = _text(root / name)
        if _MACHINE_ID.fullmatch(text):
            return _hashed(text.encode())
    return None


def _stored_id(state_dir: Path, random: bytes) -> str:
    path = state_dir / ID_FILE
    stored = _text(path)
    if is_agent_id(stored):
        return stored
    made = _hashed(random)
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(f"{made}\n", encoding="ascii")
    except OSError as error:
        why = "this host has no instance id and no machine id, and none can be stored"
        raise ConfigError(f"{path}: {why}: {error}. Set agent_id.") from error
    return made


def _hashed(secret: bytes) -> str:
    return "h-" + hashlib.sha256(_SALT + secret).hexdigest()[:_HASH_CHARACTERS]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
