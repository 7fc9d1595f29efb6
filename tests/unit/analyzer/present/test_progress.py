import pytest

from analyzer.present import ProgressView, RunStatus
from analyzer.present.progress import plain_line
from tests.terminals import Screen, Tty, plain


def status(elapsed_s: float) -> RunStatus:
    return RunStatus(
        phase="Collecting", elapsed_s=elapsed_s, total_s=120, events=41_902, findings=3
    )


def test_status_as_one_plain_line() -> None:
    assert plain_line(status(60)) == (
        "Collecting: 50%, 1:00 left, 41,902 events, 698/s, 3 provisional findings"
    )


def test_status_at_the_edges() -> None:
    assert (status(0).rate, status(0).share, status(150).left, status(150).share) == (
        0,
        0,
        "0:00 left",
        1,
    )
    assert RunStatus("x", 1, 0).share == 1


def test_one_line_every_ten_seconds_in_a_pipe() -> None:
    screen = Screen()
    with ProgressView(screen.open()) as view:
        for elapsed_s in range(25):
            view.update(status(elapsed_s))
    assert [line.split(", ")[1] for line in screen.messages] == [
        "2:00 left",
        "1:50 left",
        "1:40 left",
    ]
    assert screen.lines == []


@pytest.mark.parametrize("columns", ["80", "120"])
def test_moving_line_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen(err=Tty())
    with ProgressView(screen.open()) as view:
        view.update(status(82))
        drawn = plain(screen.err.getvalue())
    assert drawn.startswith("● Collecting ━━")
    assert "68% 0:38 left 41,902 events · 511/s · 3 provisional" in drawn
    assert len(drawn.splitlines()[0]) <= int(columns)
    assert screen.err.getvalue().endswith("\x1b[1A\x1b[2K")


def test_moving_line_can_be_taken_away_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen(err=Tty())
    with ProgressView(screen.open()) as view:
        view.pause()
        view.update(status(1))
        view.pause()
        view.update(status(2))
    assert screen.err.getvalue().count("\x1b[?25l") == screen.err.getvalue().count("\x1b[?25h") == 2


def test_status_without_an_estimate_names_no_time() -> None:
    early = RunStatus("Judging", 3, None, events=30, findings=None, done=0.25)
    assert plain_line(early) == "Judging: 25%, 30 events, 10/s"
