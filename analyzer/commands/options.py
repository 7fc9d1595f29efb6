"""Options that several commands have, and what they name.

In: what was given, or nothing. Out: the data folder of the server that is meant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import typer

from analyzer.data_folder import DataFolder
from analyzer.errors import AnalyzerError, AssessmentError
from analyzer.model import Tag
from analyzer.present.output import Output
from analyzer.reports import Format
from analyzer.reports.aws_account import AwsAccount, account_of

Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Data folder of the server. [PROCTOR_DATA, else the user's data folder]"
    ),
]
Rules = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="A rules package, a folder of them, or of rule files."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
FormatOption = Annotated[Format, typer.Option("--output", "-o", help="Format.", show_choices=True)]
ListFormat = Annotated[Literal["table", "json"], typer.Option("--output", "-o", help="Format.")]
OutFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write there instead of standard output.")
]


def aws_account() -> AwsAccount:
    """Return the account that the environment names, for formats of AWS."""
    return account_of(os.environ)


def output_of(form: Format, path: Path | None, *, evidence: bool = False) -> Output:
    """Return where a result goes.

    Raises:
        AnalyzerError: Nothing can be written at ``path``.
    """
    output = Output(form, path, evidence, aws_account())
    problem = output.problem()
    if problem is not None:
        raise AnalyzerError(f"cannot write the result: {problem}")
    return output


def tags_of(pairs: Iterable[str]) -> list[Tag]:
    """Return tags of ``key=value``, or of ``key`` alone, which stands for any value."""
    return [
        Tag(key, value if equals else None)
        for key, equals, value in (pair.partition("=") for pair in pairs)
    ]


def words(text: str) -> tuple[str, ...]:
    """Return what stands between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def require_consent(question: str, *, yes: bool) -> None:
    """Ask a person before something is destroyed; without a terminal, want ``--yes``.

    Raises:
        AssessmentError: Nobody can be asked, or they said no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise AssessmentError(f"{question} Say --yes where nobody can be asked.")
    if not typer.confirm(question, err=True):
        raise AssessmentError("nothing was deleted")


def folder_of(given: Path | None) -> DataFolder:
    """Return the data folder: the given one, that of PROCTOR_DATA, or the user's."""
    if given is not None:
        return DataFolder(given.absolute())
    named = os.environ.get("PROCTOR_DATA")
    if named:
        return DataFolder(Path(named).absolute())
    from platformdirs import user_data_path

    return DataFolder(user_data_path("proctor"))
