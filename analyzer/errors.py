"""Errors of the analyzer package: one root, and below it only what some caller catches."""

from __future__ import annotations

from pathlib import Path

from analyzer.arns import EntityKind

_NAMED = 10  # agents or runs that an error names, as Inspector's do


class AnalyzerError(Exception):
    """Root of every error that the analyzer raises on purpose."""


class StoreError(AnalyzerError):
    """The store cannot be opened, read or written, or refuses a change."""


class AssessmentError(AnalyzerError):
    """An assessment run cannot be created or changed as asked."""


class NoSuchEntityError(AssessmentError):
    """An ARN names nothing that exists.

    Attributes:
        kind: What it should name.
        arn: The ARN.
    """

    def __init__(self, kind: EntityKind, arn: str) -> None:
        """Name it."""
        super().__init__(f"no {kind.words} has the ARN {arn}")
        self.kind = kind
        self.arn = arn


class InvalidInputError(AssessmentError):
    """What was asked for is not allowed.

    Attributes:
        code: Inspector's error code.
    """

    def __init__(self, code: str, message: str) -> None:
        """Say what is wrong with it."""
        super().__init__(message)
        self.code = code


class LimitExceededError(AssessmentError):
    """There are as many as there may be.

    Attributes:
        kind: Of what: an ``EntityKind``, or EVENT_SUBSCRIPTION.
        limit: How many there may be.
    """

    def __init__(self, kind: str, limit: int, what: str) -> None:
        """Say of what there are too many."""
        super().__init__(f"there may be at most {limit} {what}; delete some, or raise the limit")
        self.kind = kind
        self.limit = limit


class RunInProgressError(AssessmentError):
    """Something cannot be done while runs are active.

    Attributes:
        run_arns: The first ten of them.
        is_truncated: Whether there are more.
    """

    def __init__(self, run_arns: tuple[str, ...]) -> None:
        """Name the runs."""
        shown = run_arns[:_NAMED]
        super().__init__(f"runs in progress: {', '.join(shown)}; stop them, or wait for their end")
        self.run_arns = shown
        self.is_truncated = len(run_arns) > len(shown)


class AgentsBusyError(AssessmentError):
    """Agents of a target are in an active run already.

    Attributes:
        agents: The first ten of them, each with the ARN of its run.
        is_truncated: Whether there are more.
    """

    def __init__(self, agents: tuple[tuple[str, str], ...]) -> None:
        """Name agents and runs."""
        shown = agents[:_NAMED]
        named = ", ".join(f"{agent} in {run}" for agent, run in shown)
        super().__init__(f"agents are in a run already: {named}; stop it, or wait for its end")
        self.agents = shown
        self.is_truncated = len(agents) > len(shown)


class PreviewInProgressError(AssessmentError):
    """An exclusions preview of a template is being made.

    Attributes:
        template_arn: The template.
    """

    def __init__(self, template_arn: str) -> None:
        """Name the template."""
        super().__init__(f"an exclusions preview of {template_arn} is being made; ask again")
        self.template_arn = template_arn


class SnapshotError(AnalyzerError):
    """A snapshot of an engine cannot be taken up: it is damaged, or of other rules."""


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

    def __reduce__(self) -> tuple[type[SegmentReadError], tuple[Path, str]]:
        """Let it come back from the process that read the log."""
        return type(self), (self.path, self.why)


class WorkersError(AnalyzerError):
    """What shall share the work is not installed, or died."""


class LogMismatchError(AnalyzerError):
    """A log does not hold the telemetry that its run was judged by.

    Attributes:
        folder: Where the log is.
        why: Which files differ, and how.
    """

    def __init__(self, folder: Path, why: str) -> None:
        """Name the files."""
        super().__init__(
            f"the telemetry log {folder} is not what the run was judged by: {why}; --unverified "
            "judges what is there"
        )
        self.folder = folder
        self.why = why


class JudgedError(AnalyzerError):
    """What a run was judged by cannot be kept beside its telemetry, or read there.

    Attributes:
        path: The file or folder.
        why: What is wrong with it.
    """

    def __init__(self, path: Path, why: str) -> None:
        """Name the place."""
        super().__init__(f"what a run was judged by: {path} {why}")
        self.path = path
        self.why = why


class ScheduleError(AnalyzerError):
    """A schedule that cannot be made, found or changed as asked."""


class RouteError(AnalyzerError):
    """A destination of notifications that cannot be added, found or tried as asked."""


class DeliveryError(AnalyzerError):
    """A notice did not reach its destination.

    Attributes:
        code: Why, in Inspector's words for SNS.
        is_final: Whether the same notice would fail again, so that it is not repeated.
    """

    def __init__(self, why: str, *, code: str = "INTERNAL_ERROR", is_final: bool = False) -> None:
        """Say why."""
        super().__init__(why)
        self.code = code
        self.is_final = is_final


class HeartbeatError(AnalyzerError):
    """A status message that cannot be used."""


class AccessError(AnalyzerError):
    """An access key cannot be made, found or kept."""


class AuditError(AccessError):
    """A call cannot be written down, so it is refused.

    Attributes:
        path: The audit log.
        why: What stands in the way.
    """

    def __init__(self, path: Path, why: str) -> None:
        """Name the file."""
        super().__init__(f"cannot write the audit log {path}: {why}")
        self.path = path
        self.why = why


class ListenError(AnalyzerError):
    """The place for HTTP cannot be taken.

    Attributes:
        host: The address.
        port: The port.
    """

    def __init__(self, host: str, port: int, why: str) -> None:
        """Name the place and the way out."""
        super().__init__(
            f"cannot listen on {host}:{port}: {why}; name another place with --listen, port 0 for "
            "any that is free"
        )
        self.host = host
        self.port = port


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
