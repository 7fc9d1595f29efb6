"""Release: the version of the installed package, found without loading what is not needed.

``importlib.metadata`` would take longer than everything else that ``--version`` does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Final

UNKNOWN: Final = "0"  # where the package runs from bare sources
_PREFIX, _SUFFIX = "proctor-", ".dist-info"


def version(folders: Iterable[str] | None = None) -> str:
    """Return the version, or ``0`` where nothing is installed.

    Args:
        folders: Where packages are; Python's own path if it is left out.

    Source: "Recording installed projects", packaging.python.org: a folder named
    ``{name}-{version}.dist-info`` stands beside each installed package.
    """
    for folder in sys.path if folders is None else folders:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 (pathlib takes longer to import)
        except OSError:
            continue
        for name in names:
            if name.startswith(_PREFIX) and name.endswith(_SUFFIX):
                return name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    return UNKNOWN
