"""Present: results and progress as text for people, on a terminal or in a pipe.

Nothing here judges anything; it shows what ``analyzer.results.document`` holds.
"""

from __future__ import annotations

from analyzer.present.findings import show_findings
from analyzer.present.outcome import show_outcome
from analyzer.present.output import Output
from analyzer.present.progress import ProgressView, RunStatus
from analyzer.present.terminal import Terminal, open_terminal

__all__ = [
    "Output",
    "ProgressView",
    "RunStatus",
    "Terminal",
    "open_terminal",
    "show_findings",
    "show_outcome",
]
