"""Errors of the analyzer package: one root, and below it only what some caller catches."""

from __future__ import annotations

from pathlib import Path


class AnalyzerError(Exception):
    """Root of every error that the analyzer raises on purpose."""


class StoreError(AnalyzerError):
    """The store cannot be opened, read or written, or refuses a change."""


class AssessmentError(AnalyzerError):
    """An assessment run cannot be created or changed as asked."""


class SegmentWriteError(AnalyzerError):
    """The telemetry log of a run cannot be written; its agents keep what was not stored.

    Attributes:
        folder: Where the log is.
        why: What stands in the way.
    """

    def __init__(self, folder: Path, why: str) -> None:
        """Say what to free or mend."""
        super().__init__(
            f"cannot write the telemetry log {folder}: {why}; the agents keep their batches "
            "until it can be written"
        )
        self.folder = folder
        self.why = why


class SegmentReadError(AnalyzerError):
    """A file of a telemetry log cannot be read.

    Attributes:
        path: The file.
        why: What is wrong with it.
    """

    def __init__(self, path: Path, why: str) -> None:
        """Name the file."""
        super().__init__(f"cannot read the telemetry log {path}: {why}")
        self.path = path
        self.why = why


class HeartbeatError(AnalyzerError):
    """A status message that cannot be used."""


class BrokerError(AnalyzerError):
    """The embedded broker cannot be started; the message names the reason and the remedy."""


class DataFolderError(AnalyzerError):
    """The data folder cannot be used, or another server uses it."""


class ServerMissingError(AnalyzerError):
    """No server works on the data folder that a command needs.

    Attributes:
        folder: The data folder.
    """

    def __init__(self, folder: Path) -> None:
        """Say how to start one."""
        super().__init__(
            f"no server runs on {folder}; start one with 'proctor serve --data {folder}', or name "
            "the folder of the one that runs with --data"
        )
        self.folder = folder
