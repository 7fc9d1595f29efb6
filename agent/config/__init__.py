"""Configuration of the agent: one model of settings, read from file, environment and flags.

A msgspec struct and not a pydantic model, because pydantic alone would take 16 MB of the agent's
40. Unknown settings fail.
"""

from __future__ import annotations

from agent.config.settings import FIELDS, Settings, meta_of
from agent.config.sources import (
    DEFAULT_FILE,
    Loaded,
    flag_of,
    load_settings,
    parse_tags,
    read_password,
    to_toml,
)

__all__ = [
    "DEFAULT_FILE",
    "FIELDS",
    "Loaded",
    "Settings",
    "flag_of",
    "load_settings",
    "meta_of",
    "parse_tags",
    "read_password",
    "to_toml",
]
