"""Targets and templates by what people call them, and everything there is of a kind.

In: the desk, and a name or ARN. Out: the one that is meant, or an error that names the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from analyzer.errors import AssessmentError
from analyzer.model import Page, TargetFilter, TemplateFilter
from analyzer.words import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.assessments import Assessments
    from analyzer.model import Target, Template


class Named(Protocol):
    """Something with a name and an ARN."""

    @property
    def arn(self) -> str:
        """Return its ARN."""
        ...

    @property
    def name(self) -> str:
        """Return its name."""
        ...


T = TypeVar("T")
N = TypeVar("N", bound=Named)


async def all_of(page: Callable[[str | None], Awaitable[Page[T]]]) -> list[T]:
    """Return the items of all pages.

    Args:
        page: Returns the page that a token leads to; None = the first.
    """
    found: list[T] = []
    token: str | None = None
    while True:
        part = await page(token)
        found += part.items
        token = part.next_token
        if token is None:
            return found


async def target_named(desk: Assessments, name: str) -> Target:
    """Return the target of a name or ARN.

    Raises:
        AssessmentError: There is none.
    """
    everything = await all_of(lambda token: desk.list_targets(TargetFilter(), token=token))
    return _one(everything, name, "assessment target", "proctor targets list")


async def template_named(desk: Assessments, name: str) -> Template:
    """Return the template of a name or ARN; a name may be of several targets' templates.

    Raises:
        AssessmentError: There is none, or more than one.
    """
    everything = await all_of(lambda token: desk.list_templates(TemplateFilter(), token=token))
    return _one(everything, name, "assessment template", "proctor templates list")


def _one(items: Sequence[N], name: str, what: str, command: str) -> N:
    found = [item for item in items if name in {item.name, item.arn, item.arn.rpartition("/")[2]}]
    if len(found) == 1:
        return found[0]
    if found:
        arns = listed([item.arn for item in found])
        raise AssessmentError(f"several {what}s are named {name!r}; give an ARN: {arns}")
    known = listed([item.name for item in items])
    there_are = f"there are: {known}" if items else "there are none"
    raise AssessmentError(f"no {what} is named {name!r}; {there_are}; see '{command}'")
