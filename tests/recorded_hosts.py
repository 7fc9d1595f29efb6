"""Recorded hosts under tests/fixtures/hosts: plain files, and their symbolic links as a list.

The links of /proc lead to absolute paths, which archives and checkouts do not carry safely.
"""

import shutil
from pathlib import Path

HOSTS = Path(__file__).parent / "fixtures" / "hosts"


def copy_host(name: str, target: Path) -> Path:
    """Copy a recorded host with its links into ``target``; return its /proc, free to change."""
    shutil.copytree(HOSTS / name, target, dirs_exist_ok=True)
    for line in (target / "links.txt").read_text().splitlines():
        path, _, destination = line.partition(" -> ")
        link = target / path
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(destination)
    return target / "proc"
