"""Page tokens: where a page ended, for the same list with the same filter only.

In: a list's name, its filter, a position. Out: an opaque text. It holds no secret: whoever changes
it gets another page of what may be read anyway, or an error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from analyzer.assessments.limits import MAX_RESULTS
from analyzer.errors import InvalidInputError
from analyzer.model import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.store import Position

T = TypeVar("T")
Mark = tuple[int | str, ...]
_DIGITS: Final = 12  # of the filter's hash
_INT64: Final = 1 << 63


def make_token(listing: object, mark: Mark) -> str:
    """Return the token for what comes after ``mark``; ``listing`` names list and filter."""
    text = msgspec.json.encode([_digest(listing), *mark])
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def read_token(listing: object, token: str | None) -> Mark | None:
    """Return where the page before ended; None for the first page.

    Raises:
        InvalidInputError: The token is none, or of another list or filter.
    """
    if token is None:
        return None
    try:
        text = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        digest, *mark = msgspec.json.decode(text, type=list[int | str])
    except (UnicodeEncodeError, ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise _wrong_token() from error
    if digest != _digest(listing) or not mark or not all(map(_fits, mark)):
        raise _wrong_token()
    return tuple(mark)


def position_of(listing: object, token: str | None) -> Position | None:
    """Return the store's position that a token names; None for the first page.

    Raises:
        InvalidInputError: The token is none, or of another list or filter.
    """
    mark = read_token(listing, token)
    if mark is None:
        return None
    numbers = tuple(item for item in mark if isinstance(item, int))
    if len(numbers) != len(mark):
        raise _wrong_token()
    return numbers


def text_after(listing: object, token: str | None) -> str:
    """Return the text that a token names, in lists ordered by one; empty for the first page.

    Raises:
        InvalidInputError: The token is none, or of another list or filter.
    """
    mark = read_token(listing, token)
    return "" if mark is None else str(mark[0])


def page_of(listing: object, placed: Sequence[tuple[Mark, T]], limit: int) -> Page[T]:
    """Return the page of up to ``limit`` of these; one more shows that it is not the last."""
    items = tuple(value for _, value in placed[:limit])
    if len(placed) <= limit:
        return Page(items)
    return Page(items, make_token(listing, placed[limit - 1][0]))


def checked_limit(limit: int, most: int) -> int:
    """Return how many a page holds.

    Raises:
        InvalidInputError: It is not between 1 and 500.
    """
    if not 1 <= limit <= MAX_RESULTS:
        raise InvalidInputError(
            "INVALID_MAX_RESULTS", f"a page has 1 to {MAX_RESULTS} items, not {limit}"
        )
    return min(limit, most)


def _digest(listing: object) -> str:
    return hashlib.sha256(repr(listing).encode("utf-8", "backslashreplace")).hexdigest()[:_DIGITS]


def _fits(item: int | str) -> bool:
    return isinstance(item, str) or -_INT64 <= item < _INT64


def _wrong_token() -> InvalidInputError:
    return InvalidInputError("INVALID_PAGINATION_TOKEN", "the page token is not one of this list")
