"""Polls all TCP sockets with psutil until the end of the process: a watcher to compare with.

``psutil_poll.py INTERVAL_S`` prints pid and local port of each socket that is new, as JSON. A
program of its own, so that it needs no more memory than psutil takes.
"""

from __future__ import annotations

import json
import sys
import time

import psutil


def main(interval_s: float) -> None:
    """Look again and again."""
    seen: set[tuple[int | None, int]] = set()
    while True:
        found = psutil.net_connections("tcp")
        sides = {(each.pid, each.laddr.port) for each in found if each.laddr}
        for side in sides - seen:
            print(json.dumps(side), flush=True)
        seen |= sides
        time.sleep(interval_s)


if __name__ == "__main__":
    main(float(sys.argv[1]))
