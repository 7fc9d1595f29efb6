"""How every command ends: the exit code of what was done, or of its error, said on standard error.

In: what to do. Out: an exit. It loads no store, so commands that need none start sooner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from analyzer.errors import AnalyzerError, ServerMissingError
from analyzer.present import open_terminal
from analyzer.results.gates import INTERRUPTED, MISUSE, UNREACHED
from rules.errors import RecordingError, RuleFileError

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.present import Terminal


def finish(work: Callable[[Terminal], int]) -> None:
    """Do ``work``, and exit with its code or that of its error."""
    terminal = open_terminal()
    try:
        code = work(terminal)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except ServerMissingError as error:
        terminal.error(str(error))
        code = UNREACHED
    except AnalyzerError as error:
        terminal.error(str(error))
        code = MISUSE
    except (RecordingError, RuleFileError) as error:
        terminal.problems(str(error))
        code = MISUSE
    raise typer.Exit(code)
