import sys
from io import StringIO
from pathlib import Path

import pytest

from analyzer.present import Output
from analyzer.present.output import write_whole
from analyzer.results.document import Result, to_json, to_ndjson
from tests.recordings import judged, lines_of, packages
from tests.terminals import Screen


@pytest.fixture
def result() -> Result:
    return judged(lines_of())


def test_documents_go_to_standard_output(result: Result) -> None:
    for form, expected in (("json", to_json(result)), ("ndjson", to_ndjson(result))):
        screen = Screen()
        Output(form).write(screen.open(), result, packages())  # type: ignore[arg-type]
        assert screen.out.getvalue().encode() == expected
        assert screen.messages == []


def test_table_goes_to_standard_output(result: Result) -> None:
    screen = Screen()
    Output(evidence=True).write(screen.open(), result, packages())
    assert screen.lines[3].startswith("    2025-11-24 03:35:41.000  imds_request")


def test_file_holds_the_same(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "result"
    screen = Screen()
    for form, expected in (("json", to_json(result)), ("ndjson", to_ndjson(result))):
        Output(form, path).write(screen.open(), result, packages())  # type: ignore[arg-type]
        assert path.read_bytes() == expected
    Output("table", path).write(screen.open(), result, packages())
    table = Screen()
    Output().write(table.open(), result, packages())
    assert path.read_text() == table.out.getvalue()
    assert (screen.lines, screen.messages) == ([], [])
    assert [item.name for item in tmp_path.iterdir()] == ["result"]


def test_places_that_cannot_be_written_are_known_before(tmp_path: Path) -> None:
    assert Output().problem() is None
    assert Output("pdf").problem() is None
    assert Output(path=tmp_path / "new").problem() is None
    assert "is a folder" in str(Output(path=tmp_path).problem())
    missing = Output(path=tmp_path / "no" / "file").problem()
    assert missing == (
        f"the folder {tmp_path / 'no'} does not exist; create it, or choose another --out"
    )


def test_permissions_are_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    path = tmp_path / "file"
    assert str(tmp_path) in str(Output(path=path).problem())
    path.touch()
    assert str(path) in str(Output(path=path).problem())


def test_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_devices_are_written_directly() -> None:
    write_whole(Path("/dev/null"), b"data")
    assert not Path("/dev/.null.part").exists()


def test_terminal_gets_no_pdf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert "name a file with --out" in str(Output("pdf").problem())
    assert Output("pdf", tmp_path / "report.pdf").problem() is None
    assert Output("html").problem() is None
