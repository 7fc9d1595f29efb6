"""Pages: how many are asked for, and how many a reply may hold.

In: ``maxResults`` and ``nextToken``. Out: a limit within what the reply's shape holds, and a token;
``nextToken`` is left out of the last page, because clients loop while it is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.aws.values import Structure
    from analyzer.model import Page

DEFAULT_LIMIT: Final = 10
ARNS_LIMIT: Final = 100  # ARNs in one reply


def limit_of(
    request: Mapping[str, Any], *, most: int = ARNS_LIMIT, default: int = DEFAULT_LIMIT
) -> int:
    """Return how many items the reply may hold."""
    wanted: int = request.get("maxResults", default)
    return min(wanted, most)


def token_of(request: Mapping[str, Any]) -> str | None:
    """Return where the page begins; None = at the beginning."""
    token: str | None = request.get("nextToken")
    return token


def with_page(name: str, items: Sequence[Any], page: Page[Any]) -> Structure:
    """Return an answer that is one page."""
    return {name: list(items), "nextToken": page.next_token}
