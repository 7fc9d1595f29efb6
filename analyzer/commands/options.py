"""Options that several commands have, and what they name.

In: what was given, or nothing. Out: the data folder of the server that is meant.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from analyzer.data_folder import DataFolder

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


def folder_of(given: Path | None) -> DataFolder:
    """Return the data folder: the given one, that of PROCTOR_DATA, or the user's."""
    if given is not None:
        return DataFolder(given.absolute())
    named = os.environ.get("PROCTOR_DATA")
    if named:
        return DataFolder(Path(named).absolute())
    from platformdirs import user_data_path

    return DataFolder(user_data_path("proctor"))
