"""Sources of settings: a TOML file, the environment (``PROCTOR_AGENT_*``) and flags.

In: the sources, the later over the earlier. Out: checked ``Settings``, or every problem at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent.config.settings import FIELDS, Settings, meta_of
from agent.errors import ConfigError

DEFAULT_FILE = Path("/etc/proctor/agent.toml")
ENVIRONMENT = "PROCTOR_AGENT_"
FILE_VARIABLE = f"{ENVIRONMENT}CONFIG"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and for each one that is not a default, where its value stands."""

    settings: Settings
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Given:
    name: str  # as written at its origin
    value: Any
    origin: str
    is_text: bool  # a number or truth value may stand as text


def load_settings(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Loaded:
    """Return the settings of a program.

    Args:
        file: Configuration file; None means ``PROCTOR_AGENT_CONFIG``, else the default file if
            there is one.
        environ: The environment.
        flags: Values by setting, as given on the command line.

    Raises:
        ConfigError: A file cannot be read, or settings are unknown or out of bounds. The message
            lists every problem on a line of its own.
    """
    environ = environ or {}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems: list[str] = []
    for given in (*_from_file(file, environ), *_from_environ(environ), *_from_flags(flags or {})):
        try:
            values[given.name] = _checked(given)
            origins[given.name] = given.origin
        except ValueError as error:
            problems.append(f"{given.origin}: {error}")
    if problems:
        raise ConfigError("\n".join(problems))
    try:
        return Loaded(Settings(**values), origins)
    except ValueError as error:
        where = ", ".join(dict.fromkeys(origins.values()))
        raise ConfigError(f"{where}: {error}") from error


def _from_file(file: Path | None, environ: Mapping[str, str]) -> Iterator[_Given]:
    import tomllib

    named = file or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    path = named or DEFAULT_FILE
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except FileNotFoundError as error:
        if named is None:
            return
        why = "there is no such file; without --config none is needed"
        raise ConfigError(f"{path}: {why}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    for name, value in table.items():
        line = _line_of(name, text)
        yield _Given(name, value, f"{path}:{line}" if line else str(path), is_text=False)


def _line_of(name: str, text: str) -> int | None:
    key = re.compile(rf"""\s*\[?\s*["']?{re.escape(name)}["']?\s*[]=.]""")
    lines = enumerate(text.splitlines(), start=1)
    return next((number for number, line in lines if key.match(line)), None)


def _from_environ(environ: Mapping[str, str]) -> Iterator[_Given]:
    for variable in sorted(environ):
        if variable.startswith(ENVIRONMENT) and variable != FILE_VARIABLE:
            name = variable.removeprefix(ENVIRONMENT).lower()
            yield _Given(name, environ[variable], variable, is_text=True)


def _from_flags(flags: Mapping[str, Any]) -> Iterator[_Given]:
    for name, value in flags.items():
        yield _Given(name, value, flag_of(name), is_text=True)


def flag_of(name: str) -> str:
    """Return the command-line flag of a setting; tags are given one at a time."""
    return "--tag" if name == "tags" else f"--{name.replace('_', '-')}"


def _checked(given: _Given) -> Any:  # noqa: ANN401
    field = FIELDS.get(given.name)
    if field is None:
        raise ValueError(_unknown(given.name))
    value = given.value
    if given.name == "tags" and isinstance(value, str):
        value = parse_tags(filter(None, value.split(",")))
    try:
        return msgspec.convert(value, field.type, strict=not given.is_text)
    except msgspec.ValidationError as error:
        raise ValueError(f"{given.name}: {_plain(given.name, error)}") from error


def _unknown(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, FIELDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "`proctor-agent run --help` lists them all"
    return f"there is no setting {name!r}; {hint}"


def _plain(name: str, error: msgspec.ValidationError) -> str:
    """Return a validation error without the pattern it names, which tells people nothing."""
    text = str(error)
    if "matching regex" in text:
        return f"not a possible value. {meta_of(name).description}"
    return text[0].lower() + text[1:].replace("`", "")


def parse_tags(texts: Iterable[str]) -> dict[str, str]:
    """Return tags from texts like ``Name=web-1``.

    Raises:
        ValueError: One of them has no ``=``.
    """
    tags: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"tags: {text!r} is not KEY=VALUE")
        tags[key.strip()] = value.strip()
    return tags


def read_password(settings: Settings) -> str | None:
    """Return the password at the broker, or None where none is set.

    Raises:
        ConfigError: The file cannot be read.
    """
    if not settings.broker_password_file:
        return None
    try:
        text = Path(settings.broker_password_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"broker_password_file cannot be read: {error}") from error
    return text.partition("\n")[0].rstrip("\r")


def to_toml(loaded: Loaded) -> str:
    """Return settings as a file that could be read again, each with its text and its origin."""
    lines: list[str] = []
    tags: list[str] = []
    for name in FIELDS:
        value = getattr(loaded.settings, name)
        meta = meta_of(name)
        unit = f" [{meta.extra['unit']}]" if meta.extra else ""
        about = f"# {meta.description}{unit} ({loaded.origins.get(name, 'default')})"
        if isinstance(value, dict):
            # A table takes every line that follows it, so it has to come last.
            pairs = [f"{_toml(key)} = {_toml(item)}" for key, item in sorted(value.items())]
            tags = ["", about, f"[{name}]", *pairs]
        else:
            lines += [about, f"{name} = {_toml(value)}"]
    return "\n".join([*lines, *tags, ""])


def _toml(value: object) -> str:
    # JSON's texts, numbers and truth values are TOML's.
    return msgspec.json.encode(value).decode()
