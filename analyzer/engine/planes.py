"""Planes: 64 bits per row at a time, and which selectors share them.

In: the conjunctions of each selector, and how many rows of a sample they accept. Out: for each
selector its plane and bits. The first plane is of selectors whose rows are many or wanted at once;
in the others those stand together that ask of the same selective columns, so that the first look-up
leaves few rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Wish:
    """A selector that wants bits.

    Attributes:
        accept: Numbers of the conjunctions of which one must hold.
        refuse: Numbers of those of which none may.
        is_first: Whether it should be of the first plane.
        likeness: What selectors of one of the other planes have in common.
    """

    accept: tuple[int, ...]
    refuse: tuple[int, ...]
    is_first: bool
    likeness: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Bits of a selector in one plane: a row has one of ``accept`` and none of ``refuse``."""

    plane: int
    accept: int
    refuse: int


@dataclass(slots=True)
class _Plane:
    """A plane that is being filled; ``numbers`` are its conjunctions by bit."""

    numbers: list[int] = field(default_factory=list)

    def has_room(self, numbers: Sequence[int]) -> bool:
        return len({*self.numbers, *numbers}) <= BITS

    def bits(self, numbers: Sequence[int]) -> int:
        bits = 0
        for number in numbers:
            if number not in self.numbers:
                self.numbers.append(number)
            bits |= 1 << self.numbers.index(number)
        return bits


def planned(wishes: Sequence[Wish]) -> tuple[list[list[int]], list[list[Part]]]:
    """Return the conjunctions of each plane by bit, and the parts of each selector.

    A selector with more conjunctions than a plane has bits has several parts: its rows are those
    that some part accepts and no part refuses.
    """
    order = sorted(
        range(len(wishes)), key=lambda place: (not wishes[place].is_first, wishes[place].likeness)
    )
    planes = [_Plane()]
    parts: list[list[Part]] = [[] for _ in wishes]
    for place in order:
        wish = wishes[place]
        pieces = _pieces(wish)
        for accept, refuse in pieces:
            wanted = (*accept, *refuse)
            if not planes[-1].has_room(wanted):
                planes.append(_Plane())
            plane = planes[0] if planes[0].has_room(wanted) else planes[-1]
            number = planes.index(plane)
            parts[place].append(Part(number, plane.bits(accept), plane.bits(refuse)))
    return [plane.numbers for plane in planes], parts


def _pieces(wish: Wish) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return a selector in pieces that fit a plane."""
    if len(wish.accept) + len(wish.refuse) <= BITS:
        return [(wish.accept, wish.refuse)]
    accepts = [wish.accept[at : at + BITS] for at in range(0, len(wish.accept), BITS)]
    refuses = [wish.refuse[at : at + BITS] for at in range(0, len(wish.refuse), BITS)]
    return [*((accept, ()) for accept in accepts), *(((), refuse) for refuse in refuses)]
