"""Errors of the agent: one root, and below it only classes that some caller catches."""

from __future__ import annotations

import os


class AgentError(Exception):
    """Root of everything the agent raises on purpose."""


class ConfigError(AgentError):
    """The configuration cannot be used as it is written."""


class DecodeError(AgentError):
    """Bytes from outside are not what they should be: malformed, truncated or too large.

    Attributes:
        what: What was being read, such as ``certificate``.
        why: What is wrong with it.
    """

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"cannot decode {what}: {why}")
        self.what = what
        self.why = why


class SocketTableError(AgentError):
    """The host's socket tables cannot be read."""


class NetlinkError(SocketTableError):
    """The kernel's socket tables cannot be read over netlink.

    Attributes:
        action: What was tried.
        errno: The kernel's error number.
    """

    def __init__(self, action: str, errno: int) -> None:
        super().__init__(f"cannot {action} over netlink: {os.strerror(errno)}")
        self.action = action
        self.errno = errno


class PerfError(AgentError):
    """The kernel does not hand out its events.

    Attributes:
        action: What was tried.
        errno: The kernel's error number.
    """

    def __init__(self, action: str, errno: int) -> None:
        super().__init__(f"the kernel refuses to {action}: {os.strerror(errno)}")
        self.action = action
        self.errno = errno


class SpoolError(AgentError):
    """The spool cannot do what was asked; the agent goes on without.

    Attributes:
        folder: Where the spool is.
        why: What stands in the way.
    """

    def __init__(self, folder: os.PathLike[str], why: str) -> None:
        super().__init__(f"spool {os.fspath(folder)}: {why}")
        self.folder = folder
        self.why = why


class ControlError(AgentError):
    """A control message that is none, or asks for what no run may ask for."""


class AckError(AgentError):
    """An acknowledgement that is none."""


class SinkError(AgentError):
    """The broker is not reached, or the connection to it is lost; a new attempt may succeed."""


class CaptureFileError(AgentError):
    """A capture file cannot be read, or only up to some byte.

    Attributes:
        offset: The byte (of the plain file) from which on it cannot be read.
        why: What is wrong there.
    """

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(f"cannot be read from byte {offset} on: {why}")
        self.offset = offset
        self.why = why
