"""Finds the programs of real services. Comes in: a name. Goes out: a path, or nothing."""

import os
import shutil
import sys
from pathlib import Path

DEBIAN_PACKAGES = {
    "chromium": "chromium",
    "ip": "iproute2",
    "mosquitto": "mosquitto",
    "openssl": "openssl",
    "postgres": "postgresql",
}


def find_program(name: str, *, search: list[Path] | None = None) -> Path | None:
    """Return the path of a service's program, or None where it is not installed.

    Looks at PATH first, then where a wheel (beside this Python) or Debian puts services.
    """
    folders = _beyond_path() if search is None else search
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, folders)])
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def missing_reason(name: str) -> str:
    """Return why a test cannot run without this program, and how to get it."""
    package = DEBIAN_PACKAGES.get(name)
    remedy = f"make services installs {package}" if package else "make setup installs it"
    return f"{name} is not installed; {remedy}"


def _beyond_path() -> list[Path]:
    postgresql = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return [Path(sys.executable).parent, Path("/usr/sbin"), Path("/sbin"), *postgresql]
