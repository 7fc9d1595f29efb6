"""Errors of the agent: one root, and below it only classes that some caller catches."""

from __future__ import annotations


class AgentError(Exception):
    """Root of everything the agent raises on purpose."""


class ConfigError(AgentError):
    """The configuration cannot be used as it is written."""
