"""The table of AWS endpoints against the data that it is made from."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

import pytest

from agent import aws_build
from agent.aws import TABLE, load_table, read_name

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


def test_names_of_the_installed_botocore_are_read_right() -> None:
    """Exactly those that the table was made from; of a newer botocore, nearly all."""
    source = aws_build.Source()
    truth = aws_build.known_names(source)
    wrong = [host for host, known in truth.items() if read_name(host, load_table()) != known]
    made_from = json.loads(gzip.decompress(TABLE.read_bytes()))["botocore"]
    assert len(truth) > 50_000
    assert len(wrong) <= (0 if source.version == made_from else len(truth) // 50)


def test_build_tells_a_stale_table_and_writes_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(aws_build, "TABLE", tmp_path / "table.json.gz")
    monkeypatch.setattr(aws_build, "build", cache(aws_build.build))
    assert aws_build.main([]) == 1
    assert "python -m agent.aws_build --write" in capsys.readouterr().err
    assert aws_build.main(["--write"]) == 0
    assert aws_build.main([]) == 0
