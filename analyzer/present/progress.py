"""Progress of a run: a moving line on a terminal, one plain line every ten seconds in a pipe.

In: how far a run is. Out: text on standard error, never on standard output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from analyzer.present.terminal import fitting
from analyzer.words import counted, minutes

if TYPE_CHECKING:
    from types import TracebackType

    from analyzer.present.terminal import Terminal

PIPE_EVERY_S: Final = 10.0
_REDRAWS_PER_S: Final = 8
_MAX_BAR: Final = 30  # columns
_OTHER_COLUMNS: Final = 66  # what the line needs beside the bar


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How far a run is."""

    phase: str
    """What happens now, such as ``Collecting``."""
    elapsed_s: float
    total_s: float | None
    """None = nobody can tell yet."""
    events: int = 0
    findings: int | None = 0
    """Provisional ones; None = nothing is being judged."""
    done: float | None = None
    """Share of the work that is done; None = as much as of the time has passed."""

    @property
    def share(self) -> float:
        """Return how much is done, 0 to 1."""
        if self.done is not None:
            return min(1.0, self.done)
        if self.total_s is None:
            return 0.0
        return min(1.0, self.elapsed_s / self.total_s) if self.total_s > 0 else 1.0

    @property
    def left(self) -> str | None:
        """Return in words how much time is left; None = nobody can tell yet."""
        if self.total_s is None:
            return None
        return f"{minutes(max(0.0, self.total_s - self.elapsed_s))} left"

    @property
    def rate(self) -> int:
        """Return events per second so far."""
        return round(self.events / self.elapsed_s) if self.elapsed_s > 0 else 0


class ProgressView:
    """Shows the status of one run while it is entered."""

    def __init__(self, terminal: Terminal) -> None:
        """Show on ``terminal``; nothing appears before the first update."""
        self._terminal = terminal
        self._live: Live | None = None
        self._told_s: float | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the moving line away, so that what follows stands in its place."""
        self.pause()

    def update(self, status: RunStatus) -> None:
        """Show a new status."""
        if not self._terminal.is_live:
            self._tell(status)
            return
        if self._live is None:
            self._live = Live(
                console=self._terminal.err,
                auto_refresh=False,
                transient=True,
                refresh_per_second=_REDRAWS_PER_S,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        self._live.update(self._line(status), refresh=True)

    def pause(self) -> None:
        """Take the moving line away until the next update."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _tell(self, status: RunStatus) -> None:
        due_s = 0.0 if self._told_s is None else self._told_s + PIPE_EVERY_S
        if status.elapsed_s >= due_s:
            self._told_s = status.elapsed_s
            self._terminal.note(plain_line(status))

    def _line(self, status: RunStatus) -> Table:
        console = self._terminal.err
        line = Table.grid(padding=(0, 1))
        line.add_row(
            Text(fitting("●", console), style="green"),
            Text(status.phase),
            ProgressBar(
                total=1.0,
                completed=status.share,
                width=max(4, min(_MAX_BAR, console.width - _OTHER_COLUMNS)),
                complete_style="green",
                finished_style="green",
            ),
            Text(f"{status.share:4.0%}"),
            Text(status.left or ""),
            Text(fitting(_numbers(status), console), no_wrap=True, overflow="ellipsis"),
        )
        return line


def plain_line(status: RunStatus) -> str:
    """Return a status as one line without symbols."""
    parts = [f"{status.phase}: {status.share:.0%}"]
    if status.left is not None:
        parts.append(status.left)
    parts += [counted(status.events, "event"), f"{status.rate:,}/s"]
    if status.findings is not None:
        parts.append(counted(status.findings, "provisional finding"))
    return ", ".join(parts)


def _numbers(status: RunStatus) -> str:
    numbers = f"{counted(status.events, 'event')} · {status.rate:,}/s"
    return numbers if status.findings is None else f"{numbers} · {status.findings:,} provisional"
