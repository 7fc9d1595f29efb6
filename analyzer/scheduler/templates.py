"""Templates by what people call them: a name instead of an ARN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analyzer.errors import ScheduleError
from analyzer.model import TemplateFilter

if TYPE_CHECKING:
    from analyzer.store.protocol import Store

_ARN: Final = "arn:"
_MOST: Final = 500  # as many templates as there may be by default


async def template_arn(store: Store, text: str) -> str:
    """Return the ARN of the template that a name or ARN means; an ARN is not looked up.

    Raises:
        ScheduleError: No template has the name, or several have, in different targets.
    """
    if text.startswith(_ARN):
        return text
    async with store.reading() as rows:
        placed = await rows.templates.page(
            TemplateFilter(name_pattern=text), after=None, limit=_MOST
        )
    found = [template.arn for _, template in placed if template.name == text]
    if not found:
        raise ScheduleError(f"no assessment template is named {text!r}")
    if len(found) > 1:
        raise ScheduleError(
            f"several templates are named {text!r}; give an ARN: {', '.join(found)}"
        )
    return found[0]
