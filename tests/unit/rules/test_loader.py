import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from rules.errors import RuleFileError, RulesError
from rules.loader import load_packages, read_packages, rules_digest
from tests.rule_documents import document
from tests.rule_files import write

MANIFEST = {
    "format": 1,
    "id": "my-package",
    "title": "My package",
    "version": "1.2.3",
    "provider": "me",
    "description": "Rules.",
    "telemetry": ["connection"],
    "rules": ["some-rule"],
}


def package(folder: Path, *rules: str, **changes: str) -> Path:
    write(folder / "package.yaml", {**MANIFEST, "id": folder.name, **changes})
    for name in rules:
        write(folder / f"{name}.yaml", document(id=name))
    return folder


def problems(*paths: Path) -> list[str]:
    return [str(problem) for problem in read_packages(paths)[1]]


def test_package_is_a_folder_with_a_manifest(tmp_path: Path) -> None:
    (read,) = load_packages(package(tmp_path / "my-package", "b-rule", "a-rule"))

    assert (read.id, read.title, read.version, read.provider, read.description) == (
        "my-package",
        "My package",
        "1.2.3",
        "me",
        "Rules.",
    )
    assert [rule.id for rule in read.rules] == ["a-rule", "b-rule"]
    assert read.telemetry == ("connection",)
    assert read.path == str(tmp_path / "my-package")
    assert read.manifest is not None
    assert read.sources["a-rule"].path == str(tmp_path / "my-package" / "a-rule.yaml")
    assert read.sources["a-rule"].stem == "a-rule"


def test_folder_of_packages_is_read_in_order(tmp_path: Path) -> None:
    package(tmp_path / "two", "some-rule")
    package(tmp_path / "one", "other-rule")
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").write_text("about")

    assert [read.id for read in load_packages(tmp_path)] == ["one", "two"]


def test_bare_rule_files_are_a_package_named_after_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "site" / "some-rule.yaml", document())
    (tmp_path / "site" / "notes.txt").write_text("about")
    (tmp_path / "site" / "drafts").mkdir()
    monkeypatch.chdir(tmp_path / "site")

    (read,) = load_packages(Path())

    assert (read.id, read.version, read.manifest) == ("site", "0.0.0", None)
    assert [rule.id for rule in read.rules] == ["some-rule"]


def test_one_file_is_a_package_of_one_rule(tmp_path: Path) -> None:
    path = write(tmp_path / "site" / "some-rule.yaml", document())
    write(tmp_path / "site" / "other-rule.yaml", document(id="other-rule"))

    (read,) = load_packages(path)

    assert (read.id, [rule.id for rule in read.rules]) == ("site", ["some-rule"])


def test_without_a_path_the_shipped_packages_are_read() -> None:
    assert [read.id for read in load_packages()] == [
        "aws-endpoints",
        "runtime-behavior",
        "secure-channels",
        "security-best-practices",
    ]


def test_hidden_files_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "some-rule.yaml", document())
    (tmp_path / ".draft.yaml").write_text("]")

    assert len(load_packages(tmp_path)) == 1


def test_every_problem_of_every_file_is_raised_at_once(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", document(severity="high"))
    (tmp_path / "b.yaml").write_text("a: [1\n")
    write(tmp_path / "c.yaml", {**document(), "version": 0, "extra": 1})
    (tmp_path / "d.yml").write_text("a: 1\n")

    with pytest.raises(RuleFileError) as caught:
        load_packages(tmp_path)

    assert isinstance(caught.value, RulesError)
    assert str(caught.value).replace(str(tmp_path), "").splitlines() == [
        (
            "/a.yaml:4: severity: 'high' is none of High, Medium, Low, Informational; did you mean "
            "'High'?"
        ),
        (
            "/b.yaml:2: is not YAML: did not find expected ',' or ']' while parsing a flow "
            "sequence that begins on line 1"
        ),
        "/c.yaml:5: version: 0 must be at least 1",
        "/c.yaml:22: extra: unknown key",
        "/d.yml:1: must end in .yaml",
    ]
    assert [problem.line for problem in caught.value.problems] == [4, 2, 5, 22, 1]


def test_file_that_does_not_load_leaves_the_others(tmp_path: Path) -> None:
    write(tmp_path / "some-rule.yaml", document())
    (tmp_path / "broken.yaml").write_text("")

    packages, found = read_packages([tmp_path])

    assert [rule.id for rule in packages[0].rules] == ["some-rule"]
    assert [problem.text for problem in found] == ["is empty"]


def test_what_was_refused_is_not_judged_as_well(tmp_path: Path) -> None:
    path = tmp_path / "some-rule.yaml"
    write(path, document())
    text = path.read_text().replace("severity: Low", "severity: &s Low")
    path.write_text(text.replace("status: stable", "status: *s").replace("title: S", "title: !x S"))

    assert [problem.split(": ", 1)[1] for problem in problems(tmp_path)] == [
        "tag !x is not allowed",
        "anchor &s is not allowed",
        "alias *s is not allowed; write the value out",
    ]


def test_broken_manifest_is_a_problem(tmp_path: Path) -> None:
    package(tmp_path / "my-package", "some-rule", version="1")

    assert problems(tmp_path) == [
        f"{tmp_path}/my-package/package.yaml:4: version: '1' is no version, such as 1.0.0"
    ]


def empty_folder(folder: Path) -> None:
    folder.mkdir()


def mixed_folder(folder: Path) -> None:
    package(folder / "inner", "some-rule")
    write(folder / "other-rule.yaml", document(id="other-rule"))


def folder_without_manifest(folder: Path) -> None:
    write(folder / "inner" / "some-rule.yaml", document())


def folder_named_like_a_rule(folder: Path) -> None:
    (folder / "some-rule.yaml").mkdir(parents=True)


def looping_link(folder: Path) -> None:
    folder.mkdir()
    (folder / "some-rule.yaml").symlink_to("some-rule.yaml")


def named_pipe(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / "some-rule.yaml")


def huge_file(folder: Path) -> None:
    folder.mkdir()
    with (folder / "some-rule.yaml").open("wb") as file:
        file.truncate(1 << 40)


def nothing(folder: Path) -> None:
    del folder


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (nothing, ":1: there is no such file or folder"),
        (empty_folder, ":1: holds no rules: no package.yaml, no packages, no .yaml files"),
        (mixed_folder, ":1: holds rule files beside the package inner; move them"),
        (folder_without_manifest, "/inner:1: holds rule files, but no package.yaml"),
        (
            folder_named_like_a_rule,
            "/some-rule.yaml:1: is no regular file, or a link that leads nowhere",
        ),
        (looping_link, "/some-rule.yaml:1: is no regular file, or a link that leads nowhere"),
        (named_pipe, "/some-rule.yaml:1: is no regular file, or a link that leads nowhere"),
        (huge_file, "/some-rule.yaml:1: is larger than 1 MiB"),
    ],
)
def test_what_cannot_be_read_is_a_problem(
    tmp_path: Path, make: Callable[[Path], None], problem: str
) -> None:
    make(tmp_path / "rules")

    assert problems(tmp_path / "rules") == [f"{tmp_path}/rules{problem}"]


def test_folders_that_link_in_a_circle_end(tmp_path: Path) -> None:
    package(tmp_path / "inner", "some-rule")
    (tmp_path / "inner" / "again").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")

    assert problems(tmp_path) == []


@pytest.mark.parametrize("target", ["folder", "inner", "file"])
def test_what_may_not_be_read_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """The tests may run as root, who may read everything, so the refusal is played."""
    package(tmp_path / "inner", "some-rule")
    refused = {
        "folder": tmp_path,
        "inner": tmp_path / "inner",
        "file": tmp_path / "inner" / "some-rule.yaml",
    }[target]
    real_iterdir, real_open = Path.iterdir, Path.open

    def iterdir(self: Path) -> Iterator[Path]:
        if self == refused:
            raise PermissionError(13, "Permission denied", str(self))
        return real_iterdir(self)

    def open_(self: Path, mode: str) -> IO[str] | IO[bytes]:
        if self == refused:
            raise PermissionError(13, "Permission denied", str(self))
        return real_open(self, mode)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    monkeypatch.setattr(Path, "open", open_)

    found = read_packages([tmp_path])[1]

    assert f"{refused}:1: cannot be read: Permission denied" in map(str, found)


def test_name_that_is_no_text_can_be_printed(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/rules\xff"
    Path(os.fsdecode(folder)).mkdir()

    assert problems(Path(os.fsdecode(folder))) == [
        f"{tmp_path}/rules\\udcff:1: holds no rules: no package.yaml, no packages, no .yaml files"
    ]


def test_same_id_in_two_files_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", document())
    write(tmp_path / "b.yaml", document())

    assert problems(tmp_path) == [
        f"{tmp_path}/b.yaml:2: id: some-rule is already the id of {tmp_path}/a.yaml"
    ]


def test_same_id_in_two_packages_is_a_problem(tmp_path: Path) -> None:
    package(tmp_path / "one", "some-rule")
    package(tmp_path / "two", "some-rule", id="one")

    assert problems(tmp_path) == [
        f"{tmp_path}/two/package.yaml:2: id: one is already the id of {tmp_path}/one/package.yaml",
        (
            f"{tmp_path}/two/some-rule.yaml:2: id: some-rule is already the id of "
            f"{tmp_path}/one/some-rule.yaml"
        ),
    ]


def test_path_given_twice_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path / "some-rule.yaml", document())

    assert problems(path, path) == []


def test_digest_of_rules_is_of_what_they_say_and_not_of_where_they_stand(tmp_path: Path) -> None:
    package(tmp_path / "here" / "one", "some-rule")
    package(tmp_path / "here" / "two", "other-rule")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    here, there = load_packages(tmp_path / "here"), load_packages(tmp_path / "there")

    assert rules_digest(here) == rules_digest(reversed(there))

    write(tmp_path / "there" / "two" / "other-rule.yaml", document(id="other-rule", version=2))

    assert rules_digest(here) != rules_digest(load_packages(tmp_path / "there"))
