"""One event per line, with its fields."""

import logging

import pytest

from agent.logs import EventFormatter, set_up_logging


def _line(event: str, **extra: object) -> str:
    record = logging.makeLogRecord({"msg": event, "levelname": "INFO", "created": 0.0, **extra})
    return EventFormatter().format(record)


def test_line_has_time_level_event_and_fields() -> None:
    assert _line("spool.full", batches=3, cause="disk") == (
        "1970-01-01T00:00:00Z INFO spool.full batches=3 cause=disk"
    )


def test_value_that_would_not_read_back_is_quoted() -> None:
    assert _line("x", why="two words", empty="", forged="a\nb", runs=("a", "b")) == (
        "1970-01-01T00:00:00Z INFO x empty='' forged='a\\nb' runs=a,b why='two words'"
    )


def test_traceback_follows_the_line() -> None:
    text = _line("x", exc_info=(ValueError, ValueError("broken"), None))
    assert text.splitlines()[-1] == "ValueError: broken"


def test_set_up_sends_lines_to_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    set_up_logging("warning")
    logging.getLogger("agent.x").info("quiet")
    logging.getLogger("agent.x").warning("loud", extra={"n": 1})
    assert capsys.readouterr().err.endswith("WARNING loud n=1\n")
