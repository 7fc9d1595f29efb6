"""Log lines for people: time, level, event name, then fields as key=value.

In: records with ``extra`` fields. Out: one line each on standard error.
"""

from __future__ import annotations

import logging
import sys

# Everything that a record has by itself; what is not in here was given as ``extra``.
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """Writes ``14:03:07 warning link.lost reason="…" next_s=0.2``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with a traceback below it where the record has one."""
        fields = " ".join(
            f"{name}={_shown(value)}"
            for name, value in vars(record).items()
            if name not in _OWN_FIELDS
        )
        time = self.formatTime(record, "%H:%M:%S")
        line = f"{time} {record.levelname.lower():7} {record.getMessage()} {fields}".rstrip()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def set_up_logs(*, verbose: bool = False) -> None:
    """Send the log to standard error; ``verbose`` shows every step and not only what matters."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for package in ("agent", "analyzer", "rules"):
        logging.getLogger(package).setLevel(logging.DEBUG if verbose else logging.INFO)


def _shown(value: object) -> str:
    text = str(value)
    plain = text and text.isprintable() and " " not in text and '"' not in text
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
