"""Checks of what callers give: texts, tags, attributes, durations, ranges.

Every error names Inspector's code for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.assessments import limits
from analyzer.errors import InvalidInputError
from analyzer.model import Range, Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def checked_text(text: str, most: int, *, code: str, what: str) -> str:
    """Return a text that every store can keep.

    Raises:
        InvalidInputError: It is empty, too long, or no text in UTF-8 without null characters.
    """
    if not 1 <= len(text) <= most:
        raise InvalidInputError(code, f"{what} has 1 to {most} characters, not {len(text)}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(code, f"{what} is no text: {error.reason}") from error
    if "\0" in text:
        raise InvalidInputError(code, f"{what} has a null character")
    return text


def checked_pattern(pattern: str | None, *, code: str) -> None:
    """Check a name pattern.

    Raises:
        InvalidInputError: It is no text that a name could match.
    """
    if pattern is not None:
        checked_text(pattern, limits.MAX_NAME, code=code, what="a name pattern")


def checked_tags(
    tags: Iterable[Tag],
    most: int,
    *,
    key_code: str,
    value_code: str,
    number_code: str,
    least: int = 0,
) -> tuple[Tag, ...]:
    """Return tags whose keys and values can be kept.

    Raises:
        InvalidInputError: One cannot, or there are too few or too many.
    """
    kept = tuple(tags)
    if not least <= len(kept) <= most:
        raise InvalidInputError(number_code, f"there may be {least} to {most}, not {len(kept)}")
    for tag in kept:
        checked_text(tag.key, limits.MAX_KEY, code=key_code, what="a key")
        if tag.value is not None:
            checked_text(tag.value, limits.MAX_VALUE, code=value_code, what="a value")
    return kept


def checked_attributes(attributes: Iterable[Tag], *, number_code: str) -> tuple[Tag, ...]:
    """Return user attributes of findings.

    Raises:
        InvalidInputError: One cannot be kept, a key comes twice, or there are too many.
    """
    kept = checked_tags(
        attributes,
        limits.MAX_USER_ATTRIBUTES,
        key_code="INVALID_USER_ATTRIBUTE_KEY",
        value_code="INVALID_USER_ATTRIBUTE_VALUE",
        number_code=number_code,
    )
    require_unique(kept, code="INVALID_USER_ATTRIBUTE_KEY")
    return kept


def require_unique(tags: Sequence[Tag], *, code: str) -> None:
    """Check that no key comes twice.

    Raises:
        InvalidInputError: One does.
    """
    if len({tag.key for tag in tags}) != len(tags):
        raise InvalidInputError(code, "a key may come once only")


def checked_range(limits_: Range, *, code: str) -> None:
    """Check that a range does not end before it begins.

    Raises:
        InvalidInputError: It does.
    """
    low, high = limits_.low, limits_.high
    if low is not None and high is not None and low > high:
        raise InvalidInputError(code, "the range ends before it begins")


def checked_texts(texts: Iterable[str], *, code: str) -> None:
    """Check texts that are looked for.

    Raises:
        InvalidInputError: No store could hold one.
    """
    for text in texts:
        checked_text(text, 1_000, code=code, what="a value of the filter")
