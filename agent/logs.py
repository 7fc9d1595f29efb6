"""Log lines of the agent's program: one event name per line, then its fields.

In: log records with ``extra`` fields. Out: text on stderr. Never payloads or credentials.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class EventFormatter(logging.Formatter):
    """Formats a record as ``time LEVEL event key=value ...``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and a traceback below it where there is one."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        extra = vars(record).keys() - _STANDARD
        fields = "".join(f" {name}={_shown(vars(record)[name])}" for name in sorted(extra))
        line = f"{when}Z {record.levelname} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging(level: str) -> None:
    """Send log lines from ``level`` on to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EventFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _shown(value: object) -> str:
    if isinstance(value, tuple | list | frozenset | set):
        return ",".join(map(str, value))
    text = str(value)
    is_plain = text.isprintable() and " " not in text and text != ""
    return text if is_plain else repr(text)
