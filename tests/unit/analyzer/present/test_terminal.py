import os
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest

from analyzer.present.terminal import open_terminal
from tests.terminals import Screen, Tty


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def red(screen: Screen) -> str:
    screen.open().say("text", style="red")
    return screen.out.getvalue()


def test_colour_on_a_terminal_only() -> None:
    assert red(Screen(out=Tty())) == "\x1b[31mtext\x1b[0m\n"
    assert red(Screen()) == "text\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert red(Screen(out=Tty())) == "text\n"


def test_colour_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert red(Screen()) == "\x1b[31mtext\x1b[0m\n"


def test_animation_needs_a_terminal_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Screen(err=Tty()).open().is_live
    assert not Screen(out=Tty()).open().is_live
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not Screen().open().is_live
    monkeypatch.setenv("TERM", "dumb")
    assert not Screen(err=Tty()).open().is_live


def test_paragraphs_are_indented_and_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    screen = Screen()
    screen.open().say("one two three four five six seven", indent=4)
    assert screen.lines == ["    one two three four five", "    six seven"]


def test_nothing_is_wrapped_in_a_pipe() -> None:
    screen = Screen()
    terminal = screen.open()
    terminal.say("word " * 100)
    terminal.say()
    terminal.note("message " * 100)
    assert screen.lines == [("word " * 100).rstrip(), ""]
    assert screen.messages == [("message " * 100).rstrip()]
    assert not terminal.is_narrow


def test_markup_and_numbers_are_left_alone() -> None:
    screen = Screen(out=Tty())
    screen.open().say("[red]12[/red] :smile:")
    assert screen.out.getvalue() == "[red]12[/red] :smile:\n"


def test_errors_and_problems_go_to_standard_error() -> None:
    screen = Screen()
    screen.open().error("it broke; mend it")
    screen.open().problems("a.yaml:1: one\nb.yaml:2: two")
    assert screen.messages == ["Error: it broke; mend it", "a.yaml:1: one", "b.yaml:2: two"]
    assert screen.lines == []


def test_symbols_are_replaced_where_they_cannot_be_written() -> None:
    stream = TextIOWrapper(BytesIO(), encoding="ascii", write_through=True)
    open_terminal(stream, StringIO()).say("✓ a → b · größe")
    assert stream.buffer.getvalue() == b"+ a -> b - gr\\xf6\\xdfe\n"


def test_document_is_written_as_it_is() -> None:
    stream = TextIOWrapper(BytesIO(), encoding="latin-1")
    open_terminal(stream, StringIO()).put("größe\n".encode())
    assert stream.buffer.getvalue() == "größe\n".encode()
    screen = Screen()
    screen.open().put("größe\n".encode())
    assert screen.lines == ["größe"]


def test_reader_that_went_away_is_no_error(tmp_path: Path) -> None:
    for write in ("put", "say"):
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w") as stream:
            terminal = open_terminal(stream, (tmp_path / "err").open("w"))
            text = "x" * 100_000
            terminal.put(text.encode()) if write == "put" else terminal.say(text)
            terminal.err.file.close()
