"""Every example of rules/README.md runs."""

import re
import shlex
from pathlib import Path

import pytest

from rules.check import check
from rules.cli import main
from rules.document import read_document
from rules.format import Manifest, Rule
from rules.selector import parse_selector
from rules.tables import README_PATH

TEXT = README_PATH.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
YAML = [text for language, text in BLOCKS if language == "yaml"]
PLAIN = [text for language, text in BLOCKS if not language]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "my-rules"


def test_tutorial_from_its_first_command_to_its_last(folder: Path) -> None:
    commands = [
        shlex.split(line)[3:]
        for block in PLAIN
        for line in block.splitlines()
        if line.startswith("python -m rules ")
    ]
    new, check_, explain = commands

    assert main(new) == 0
    (path,) = folder.iterdir()
    path.write_text(YAML[0], encoding="utf-8")
    assert main(check_) == 0
    assert main(explain) == 0


def test_problem_that_the_tutorial_shows_is_what_one_sees(folder: Path) -> None:
    folder.mkdir()
    path = folder / "old-build-server.yaml"
    kept = [line for line in YAML[0].splitlines() if "direction: inbound" not in line]
    path.write_text("\n".join(kept), encoding="utf-8")

    (problem,) = check([folder.relative_to(folder.parent)]).problems

    assert f"{problem}\n" in PLAIN


def test_rule_and_manifest_of_the_page_load() -> None:
    rule, manifest = (read_document(text.encode()).value for text in YAML)

    assert Rule.model_validate(rule).id == "old-build-server"
    assert Manifest.model_validate(manifest).rules == ("old-build-server",)


def test_selector_of_the_page_is_one() -> None:
    (text,) = (block for block in PLAIN if block.startswith("select:"))

    assert parse_selector(read_document(text.encode()).value["select"]).none_of


def test_inner_links_lead_somewhere() -> None:
    heads = {
        re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-")
        for head in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }

    assert set(re.findall(r"\]\(#([a-z-]+)\)", TEXT)) <= heads
