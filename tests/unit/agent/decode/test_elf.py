"""Hardening of ELF files, made here field by field."""

from __future__ import annotations

import struct

import pytest

from agent.decode.elf import Hardening, read_hardening
from tests.elf_files import BIND_NOW, EXEC, FLAGS, FLAGS_1, INTERP, STACK, elf


def hardening_of(data: bytes) -> Hardening | None:
    return read_hardening(lambda offset, size: data[offset : offset + size])


@pytest.mark.parametrize("is_64", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_well_built_program_is_read_in_every_class_and_order(*, is_64: bool, order: str) -> None:
    data = elf(tags={FLAGS: 8}, names=b"\0puts\0__stack_chk_fail\0", is_64=is_64, order=order)
    assert hardening_of(data) == Hardening(nx=True, stack_canary=True, pie=True, relro="full")


def test_an_old_program_has_none_of_it() -> None:
    data = elf(file_type=EXEC, segments=((INTERP, 4), (STACK, 7)), tags={})
    assert hardening_of(data) == Hardening(nx=False, stack_canary=False, pie=False, relro="none")


def test_a_file_that_says_nothing_of_its_stack_counts_as_executable() -> None:
    found = hardening_of(elf(segments=((INTERP, 4),), tags={}))
    assert found is not None
    assert not found.nx


def test_canary_of_a_static_program_is_not_known() -> None:
    assert hardening_of(elf(file_type=EXEC, segments=((STACK, 6),))) == Hardening(
        nx=True, stack_canary=None, pie=False, relro="none"
    )


@pytest.mark.parametrize(
    ("tags", "relro"),
    [({}, "partial"), ({BIND_NOW: 0}, "full"), ({FLAGS_1: 1}, "full"), ({FLAGS: 4}, "partial")],
)
def test_relocations_are_fully_read_only_where_all_are_made_at_once(
    tags: dict[int, int], relro: str
) -> None:
    found = hardening_of(elf(tags=tags))
    assert found is not None
    assert found.relro == relro


@pytest.mark.parametrize(
    ("segments", "tags", "pie"),
    [(((STACK, 6),), {}, None), (((STACK, 6),), {FLAGS_1: 0x08000000}, True)],
)
def test_shared_object_is_no_program_unless_it_says_so(
    segments: tuple[tuple[int, int], ...], tags: dict[int, int], pie: object
) -> None:
    found = hardening_of(elf(segments=segments, tags=tags))
    assert found is not None
    assert found.pie is pie


@pytest.mark.parametrize(
    "data",
    [b"", b"\x7fELF", b"#!/bin/sh\n", elf()[:40], b"\x7fELF\x03" + elf()[5:], elf(file_type=1)],
)
def test_what_is_no_program_is_none(data: bytes) -> None:
    assert hardening_of(data) is None


def test_of_values_of_one_tag_the_last_counts() -> None:
    twice = elf(tags={FLAGS: 8, BIND_NOW + 1: 0})
    changed = twice.replace(struct.pack("<QQ", BIND_NOW + 1, 0), struct.pack("<QQ", FLAGS, 0))
    found = hardening_of(changed)
    assert found is not None
    assert found.relro == "partial"
