"""sshd_config: the settings that an SSH server really applies.

In: the text of the configuration and of what it includes. Out: the first value of each keyword
outside Match blocks, and what each Match block changes. Source: sshd_config(5): the first value
obtained counts, of Match blocks that match before what stands outside of them; keywords have no
case; an included file stands in the place of its Include line.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

MAX_DEPTH: Final = 16  # of files that include files, as in sshd itself
MAX_LINES: Final = 100_000  # of all files together

DEFAULTS: Final[dict[str, str]] = {
    "clientaliveinterval": "0",
    "hostbasedauthentication": "no",
    "ignorerhosts": "yes",
    "kbdinteractiveauthentication": "yes",
    "logingracetime": "120",
    "loglevel": "info",
    "maxauthtries": "6",
    "passwordauthentication": "yes",
    "permitemptypasswords": "no",
    "permitrootlogin": "prohibit-password",
    "permituserenvironment": "no",
    "protocol": "2",
    "pubkeyauthentication": "yes",
    "usepam": "no",
    "x11forwarding": "no",
}
"""What OpenSSH 7.6 and later does without a line; the only keywords that are reported."""
ALWAYS: Final = "always"
_ALL: Final = "all"  # the criterion of a block that matches every connection
_ALIASES: Final = {"challengeresponseauthentication": "kbdinteractiveauthentication"}
_VALUES: Final = {"without-password": "prohibit-password"}
_LINE: Final = re.compile(r"^\s*([A-Za-z][A-Za-z0-9]*)(?:\s*=\s*|\s+)(.*?)\s*$")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")  # within a word, the sign is one like any other
_TIMES: Final = frozenset({"clientaliveinterval", "logingracetime"})
_TIME: Final = re.compile(r"(?:[0-9]{1,9}[smhdw]?){1,8}")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

Read = Callable[[str], Sequence[tuple[str, str]]]
"""Returns path and text of each file that an Include pattern names, in order of the paths."""


@dataclass(frozen=True, slots=True)
class SshdSetting:
    """One effective setting; ``path`` None means the built-in default."""

    name: str
    value: str
    condition: str
    """``ALWAYS``, or the Match blocks that it stands in, such as ``Match User backup``."""
    path: str | None


def read_sshd_config(text: str, *, path: str, read: Read) -> list[SshdSetting]:
    """Return the effective settings: those that always hold first, then those of Match blocks.

    Args:
        text: The main file.
        path: Its path.
        read: Finds included files.
    """
    reader = _Reader(read)
    reader.take(text, path=path, condition=None, depth=0)
    settled = reader.settled
    for key in [key for key in settled if key[0] == _ALL]:
        # A matching block goes before what stands outside of blocks.
        settled[None, key[1]] = settled.pop(key)
    for name, value in DEFAULTS.items():
        settled.setdefault((None, name), SshdSetting(name, value, ALWAYS, None))
    return sorted(
        settled.values(), key=lambda item: (item.condition != ALWAYS, item.condition, item.name)
    )


class _Reader:
    def __init__(self, read: Read) -> None:
        self.settled: dict[tuple[str | None, str], SshdSetting] = {}
        self._read = read
        self._lines = 0

    def take(self, text: str, *, path: str, condition: str | None, depth: int) -> None:
        """Take the lines of one file; a Match block ends with its file at the latest."""
        outer = condition
        for line in text.split("\n"):
            self._lines += 1
            found = _LINE.match(_COMMENT.sub("", line) if "#" in line else line)
            if found is None or self._lines > MAX_LINES:
                continue
            keyword, rest = found[1].lower(), found[2]
            if keyword == "match":
                own = _ALL if rest.lower() == _ALL else " ".join(rest.split())
                condition = _both(outer, own)
            elif keyword == "include":
                self._include(rest, condition=condition, depth=depth)
            else:
                self._set(_ALIASES.get(keyword, keyword), rest, path=path, condition=condition)

    def _include(self, rest: str, *, condition: str | None, depth: int) -> None:
        if depth >= MAX_DEPTH:
            return
        for pattern in _words(rest):
            for path, text in self._read(pattern):
                self.take(text, path=path, condition=condition, depth=depth + 1)

    def _set(self, name: str, rest: str, *, path: str, condition: str | None) -> None:
        words = _words(rest)
        if name not in DEFAULTS or not words:
            return
        if condition is not None and (_ALL, name) in self.settled:
            return  # a block before it has matched every connection
        value = words[0].lower()
        if name in _TIMES:
            value = _seconds(value)
        told = ALWAYS if condition in (None, _ALL) else f"Match {condition}"
        setting = SshdSetting(name, _VALUES.get(value, value), told, path)
        self.settled.setdefault((condition, name), setting)


def _both(outer: str | None, own: str) -> str:
    if outer is None or outer == _ALL:
        return own
    return outer if own == _ALL else f"{outer} and {own}"


def _seconds(value: str) -> str:
    """Return a time such as ``1h30m`` in seconds, as sshd -T shows it; anything else as it is."""
    if not _TIME.fullmatch(value):
        return value
    parts = re.findall(r"([0-9]+)([smhdw]?)", value)
    return str(sum(int(number) * _SECONDS[unit] for number, unit in parts))


def _words(rest: str) -> list[str]:
    try:
        return shlex.split(rest)
    except ValueError:  # a quote that is never closed
        return rest.split()
