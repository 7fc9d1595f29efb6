"""The repository agrees with itself: commands, documents, declared libraries, sizes."""

import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("agent", "analyzer", "rules")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/README.md")])
LONGEST_FILE = 400  # lines; a longer one has more than one idea
LARGEST_FILE = 500_000  # bytes; recorded input beyond this belongs elsewhere
TOOL_FOLDERS = {"build", "dist", "htmlcov", "node_modules"}

# Import names that differ from the name of the distribution.
DISTRIBUTIONS = {
    "yaml": "pyyaml",
    "pydantic_core": "pydantic",
    "distributed": "dask",
    "aws_croniter": "aws-croniter",
}
# What each package may import. The analyzer alone decodes batches, so rules needs its extra there.
EXTRAS = {
    "rules": ("analyzer",),
    "agent": ("agent",),
    "analyzer": ("agent", "analyzer", "distributed", "sql"),
}


@cache
def _makefile_targets() -> dict[str, str]:
    text = (ROOT / "Makefile").read_text()
    return dict(re.findall(r"^([a-z][a-z-]*):(.*)$", text, re.MULTILINE))


@cache
def _project() -> dict[str, object]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert isinstance(project, dict)
    return project


def _make_calls(text: str) -> set[str]:
    """Return the targets of `make ...` where a document means a command: in code."""
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    calls = re.findall(r"\bmake((?: [a-z][a-z-]*)+)", code)
    return {target for call in calls for target in call.split()}


def _files(folder: Path) -> Iterator[Path]:
    """Yield the project's files, without what tools leave behind; needs no git."""
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and path.name not in {".ci", ".pre-commit-config.yaml"}
        if hidden or path.name in TOOL_FOLDERS or path.name == "__pycache__":
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def test_every_target_is_declared_and_described() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == set(_makefile_targets())
    assert [name for name, rest in _makefile_targets().items() if "## " not in rest] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_command_in_a_document_exists(document: Path) -> None:
    assert _make_calls(document.read_text()) <= set(_makefile_targets())


def test_ci_runs_what_contributing_says() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in commands if line.startswith("make ")] == [
        "make services lint types test-all </dev/null"
    ]
    assert "`make services lint types test-all`" in (ROOT / "CONTRIBUTING.md").read_text()


def test_hooks_run_the_same_commands_as_ci() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"entry: (.*)", text) == ["make lint", "make types"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_has_a_readme(package: str) -> None:
    assert (ROOT / package / "README.md").read_text().startswith("# ")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_of_a_package_is_too_long(package: str) -> None:
    lengths = {path: path.read_text().count("\n") for path in (ROOT / package).rglob("*.py")}
    assert {path.name: n for path, n in lengths.items() if n > LONGEST_FILE} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_imported_library_is_declared(package: str) -> None:
    statement = re.compile(r"^\s*(?:from (?=[\w.]+ import)|import )(\w+)", re.MULTILINE)
    imported: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        imported |= set(statement.findall(path.read_text()))
    foreign = imported - set(sys.stdlib_module_names) - set(PACKAGES)
    names = {DISTRIBUTIONS.get(name, name) for name in foreign}
    assert names <= _declared(package)


def _declared(package: str) -> set[str]:
    base, extras = _project()["dependencies"], _project()["optional-dependencies"]
    assert isinstance(base, list)
    assert isinstance(extras, dict)
    wanted = base + [line for extra in EXTRAS[package] for line in extras[extra]]
    return {re.split(r"[\[<>=;! ]", line, maxsplit=1)[0].lower() for line in wanted}


def test_changelog_has_a_place_for_the_next_change() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## \[Unreleased\]$", text, re.MULTILINE)
    assert re.search(r"^### Rules$", text, re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_no_file_is_huge_or_holds_a_private_key() -> None:
    header = b"-----BEGIN " + rb"(?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}"
    for path in _files(ROOT):
        assert path.stat().st_size <= LARGEST_FILE, path
        assert not re.search(header, path.read_bytes()), path
