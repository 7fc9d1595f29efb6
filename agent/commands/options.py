"""Options that commands share: the configuration file, and a flag for every setting."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from agent.config import DEFAULT_FILE, FIELDS, Loaded, flag_of, load_settings, meta_of, parse_tags
from agent.errors import ConfigError


def make_parser(command: str, description: str, *, examples: str) -> argparse.ArgumentParser:
    """Return the parser of a command, with its examples under the options."""
    return argparse.ArgumentParser(
        prog=f"proctor-agent {command}",
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_settings(parser: argparse.ArgumentParser, *, only: Collection[str] = FIELDS) -> None:
    """Give a parser ``--config`` and a flag for each setting in ``only``."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"settings as TOML (default: {DEFAULT_FILE}, if there is one); "
        "environment PROCTOR_AGENT_* over file, flags over both",
    )
    group = parser.add_argument_group("settings")
    for name in FIELDS:
        if name in only:
            _add_flag(group, name)


def settings_of(arguments: argparse.Namespace) -> Loaded:
    """Return the settings that file, environment and parsed flags make.

    Raises:
        ConfigError: They are wrong; the message says all of it.
    """
    given = {name: value for name, value in vars(arguments).items() if name in FIELDS}
    flags: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if "tags" in flags:
        try:
            flags["tags"] = parse_tags(flags["tags"])
        except ValueError as error:
            raise ConfigError(f"{flag_of('tags')}: {error}") from error
    return load_settings(file=arguments.config, environ=os.environ, flags=flags)


def _add_flag(group: argparse._ArgumentGroup, name: str) -> None:
    default = FIELDS[name].default
    meta = meta_of(name)
    unit = f" {meta.extra['unit']}" if meta.extra else ""
    number = f"{default:.12g}" if isinstance(default, float) else default
    shown = "" if default == "" or name == "tags" else f" (default: {number}{unit})"
    text = f"{meta.description}{shown}".replace("%", "%%")
    if isinstance(default, bool):
        action = argparse.BooleanOptionalAction
        group.add_argument(flag_of(name), dest=name, action=action, default=None, help=text)
    elif name == "tags":
        group.add_argument(
            flag_of(name),
            dest=name,
            action="append",
            metavar="KEY=VALUE",
            help=f"{text} Repeatable.",
        )
    else:
        group.add_argument(flag_of(name), dest=name, metavar=_metavar(name), help=text)


def _metavar(name: str) -> str:
    words = {"broker_url": "URL", "agent_id": "ID", "state_dir": "FOLDER", "log_level": "LEVEL"}
    if name in words:
        return words[name]
    return "FILE" if name.endswith("_file") else name.rpartition("_")[2].upper()
