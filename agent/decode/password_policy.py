"""Password policy: what a host asks of new passwords, as PAM applies it, and how long they live.

In: the text of login.defs, of PAM's password stack and of its modules' files. Out: effective
values. Source: login.defs(5), pam.conf(5), pam_pwquality(8), pwquality.conf(5), pam_cracklib(8),
pam_pwhistory(8), pwhistory.conf(5), pam_unix(8).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MAX_DEPTH: Final = 8  # of PAM files that include others
MAX_FILES: Final = 256  # that one service reads, each as often as it is included

LOGIN_NAMES: Final = (
    "encrypt_method",
    "pass_max_days",
    "pass_min_days",
    "pass_min_len",
    "pass_warn_age",
)
QUALITY_MODULES: Final = ("pam_pwquality", "pam_cracklib", "pam_passwdqc")
_CREDITS: Final = ("dcredit", "lcredit", "ocredit", "ucredit")
_QUALITY_DEFAULTS: Final = {
    "pam_pwquality": {"minlen": 8, "minclass": 0, "enforcing": 1, **dict.fromkeys(_CREDITS, 0)},
    "pam_cracklib": {"minlen": 9, "minclass": 0, **dict.fromkeys(_CREDITS, 1)},
}
_QUALITY_MINIMUM: Final = 6  # characters, below which no credit helps
_UNIX_MINIMUM: Final = 6  # characters that pam_unix asks for without a line
_HISTORY_DEFAULT: Final = 10  # passwords that pam_pwhistory remembers without a line
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,9}")
_C_NUMBER: Final = re.compile(r"[+-]?0(?:[xX][0-9a-fA-F]{1,15}|[0-7]{1,20})")  # no decimal one
_FILE_LINE: Final = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(\S+)\s*")

ReadFile = Callable[[str], str | None]
"""Returns the text of a file in PAM's folder by its name; None where there is none."""


@dataclass(frozen=True, slots=True)
class PamLine:
    """One line of a password stack."""

    module: str
    """Name without folder and ending, such as pam_unix."""
    arguments: tuple[str, ...]

    def number(self, name: str) -> int | None:
        """Return the last value of ``name=NUMBER``; None where it is not given."""
        for argument in reversed(self.arguments):
            key, _, value = argument.partition("=")
            if key == name and _NUMBER.fullmatch(value):
                return int(value)
        return None


def read_login_defs(text: str) -> dict[str, str]:
    """Return the values of ``LOGIN_NAMES`` that login.defs sets, by lower case name.

    The last line of a name counts, and names are in upper case: others are not read. Numbers may
    be hexadecimal or octal, as in C.
    """
    found: dict[str, str] = {}
    for fields in _fields(text):
        name = fields[0].lower()
        if name in LOGIN_NAMES and fields[0].isupper() and len(fields) > 1:
            found[name] = _decimal(fields[1].strip('"'))
    return found


def read_password_stack(service: str, read: ReadFile) -> list[PamLine]:
    """Return the password lines that a PAM service really runs, included ones in their place.

    Args:
        service: Name of the service's file, such as common-password.
        read: Finds files of PAM's folder.
    """
    left = MAX_FILES

    def read_some(name: str) -> str | None:
        nonlocal left
        left -= 1
        return read(name) if left >= 0 else None

    return list(_stack(service, read_some, above=()))


def read_module_files(texts: Iterable[str]) -> dict[str, int]:
    """Return the numbers that files such as pwquality.conf set; later files and lines win."""
    found: dict[str, int] = {}
    for text in texts:
        for line in text.split("\n"):
            match = _FILE_LINE.fullmatch(line.partition("#")[0])
            if match and _NUMBER.fullmatch(match[2]):
                found[match[1].lower()] = int(match[2])
    return found


def effective_policy(
    stack: list[PamLine], *, quality: Mapping[str, int], history: Mapping[str, int]
) -> dict[str, int | str]:
    """Return what holds for a new password: module, lengths, character classes, history.

    ``required_length`` is how many characters a password has at least, with every credit taken,
    and ``required_classes`` how many kinds of them (digits, upper case, lower case, others); of a
    module that states neither, both are absent. ``remember`` is how many old passwords may not
    come again.

    Args:
        stack: The password lines that run.
        quality: What pwquality's files set.
        history: What pwhistory's file sets.
    """
    module = next((line for line in stack if line.module in QUALITY_MODULES), None)
    policy: dict[str, int | str] = {
        "quality_module": module.module if module else "none",
        "remember": max((_remembered(line, history) for line in stack), default=0),
    }
    if module is not None and module.module not in _QUALITY_DEFAULTS:
        return policy
    values = _quality(module, quality) if module else {}
    length, classes = _demanded(values)
    policy.update(values)
    policy["required_length"] = max(length, *map(_plain_minimum, stack), 0)
    policy["required_classes"] = classes
    return policy


def _quality(module: PamLine, files: Mapping[str, int]) -> dict[str, int]:
    """Return the values of a module: its arguments, else its files, else its defaults."""
    values = dict(_QUALITY_DEFAULTS[module.module])
    for name, value in values.items():
        of_files = files.get(name, value) if module.module == "pam_pwquality" else value
        given = module.number(name)
        values[name] = of_files if given is None else given
    return values


def _demanded(values: Mapping[str, int]) -> tuple[int, int]:
    """Return the fewest characters and kinds of them; nothing where a module only warns."""
    if not values or not values.get("enforcing", 1):
        return 0, 0
    credits_of = [values[name] for name in _CREDITS]
    length = values["minlen"] - sum(value for value in credits_of if value > 0)
    classes = max(values["minclass"], sum(value < 0 for value in credits_of))
    return max(length, _QUALITY_MINIMUM), classes


def _stack(service: str, read: ReadFile, *, above: tuple[str, ...]) -> Iterator[PamLine]:
    text = None if service in above or len(above) > MAX_DEPTH else read(service)
    if text is None:
        return
    inside = (*above, service)
    for fields in _fields(text.replace("\\\n", " ")):
        if fields[0] == "@include" and len(fields) > 1:
            yield from _stack(fields[1], read, above=inside)
        elif fields[0].lstrip("-").lower() == "password":
            yield from _password_line(_without_brackets(fields[1:]), read, above=inside)


def _password_line(
    fields: list[str], read: ReadFile, *, above: tuple[str, ...]
) -> Iterator[PamLine]:
    if len(fields) < 2:  # noqa: PLR2004 (control and module)
        return
    if fields[0].lower() in ("include", "substack"):
        yield from _stack(fields[1], read, above=above)
        return
    module = fields[1].rpartition("/")[2].removesuffix(".so")
    yield PamLine(module, tuple(fields[2:]))


def _without_brackets(fields: list[str]) -> list[str]:
    """Return the fields with a control such as ``[success=1 default=ignore]`` as one of them."""
    if not fields or not fields[0].startswith("["):
        return fields
    end = next((place for place, field in enumerate(fields) if field.endswith("]")), 0)
    return [" ".join(fields[: end + 1]), *fields[end + 1 :]]


def _decimal(value: str) -> str:
    """Return a number of C as a decimal one; anything else as it is."""
    if not _C_NUMBER.fullmatch(value):
        return value
    digits = value.lstrip("+-").lower()
    base = 16 if digits.startswith("0x") else 8
    return f"{'-' * value.startswith('-')}{int(digits, base)}"


def _remembered(line: PamLine, history: Mapping[str, int]) -> int:
    given = line.number("remember")
    if line.module == "pam_pwhistory":
        return history.get("remember", _HISTORY_DEFAULT) if given is None else given
    return (given or 0) if line.module == "pam_unix" else 0


def _plain_minimum(line: PamLine) -> int:
    """Return how many characters pam_unix asks for; of other modules 0."""
    if line.module != "pam_unix":
        return 0
    given = line.number("minlen")
    return _UNIX_MINIMUM if given is None else given


def _fields(text: str) -> Iterator[list[str]]:
    for line in text.split("\n"):
        fields = line.partition("#")[0].split()
        if fields:
            yield fields
