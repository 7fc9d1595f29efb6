"""The two tracepoints that the perf sensor listens to, as this kernel describes them.

In: tracefs, wherever it is mounted. Out: their formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from agent.decode.perf_records import check_formats
from agent.decode.trace_format import TraceFormat, read_format
from agent.errors import AgentError

FOLDERS: Final = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
_SOCKETS: Final = "events/sock/inet_sock_set_state/format"
_EXECS: Final = "events/sched/sched_process_exec/format"


class TracefsError(AgentError):
    """The tracepoints cannot be looked up.

    Attributes:
        is_hidden: Whether they are there, but not for this process to read.
    """

    def __init__(self, why: str, *, is_hidden: bool = False) -> None:
        super().__init__(why)
        self.is_hidden = is_hidden


class Tracepoints(NamedTuple):
    """Formats of what is listened to."""

    sockets: TraceFormat
    execs: TraceFormat


def find_tracepoints(folders: Sequence[str | Path] = FOLDERS) -> Tracepoints:
    """Return the formats from the first of ``folders`` that has them.

    Raises:
        TracefsError: None has them, or none may be read.
        DecodeError: They do not hold what is needed.
    """
    hidden: list[str] = []
    for folder in folders:
        try:
            texts = [Path(folder, name).read_text("utf-8") for name in (_SOCKETS, _EXECS)]
        except PermissionError:
            hidden.append(str(folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        else:
            tracepoints = Tracepoints(*map(read_format, texts))
            check_formats(*tracepoints)
            return tracepoints
    if hidden:
        raise TracefsError(f"{hidden[0]} may not be read", is_hidden=True)
    raise TracefsError(f"no tracepoints in {' or '.join(map(str, folders))}")
