"""Loader: folders of YAML files → packages of rules.

In: a package, a folder of packages, a folder of bare rule files, or one rule file. Out: packages
with their rules, or every problem of every file as path and line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from rules.document import MAX_BYTES, Document, read_document
from rules.errors import Problem, RuleFileError
from rules.faults import Location, dotted
from rules.format import Manifest, Rule, digest_of

__all__ = [
    "Package",
    "Problem",
    "RuleFileError",
    "Source",
    "load_packages",
    "read_packages",
    "rules_digest",
]

MANIFEST: Final = "package.yaml"
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rule or manifest stands, so that what is wrong with it can be said later."""

    path: str
    document: Document
    data: bytes
    """The file as it is."""

    @property
    def stem(self) -> str:
        """Return the name of the file without its ending."""
        return Path(self.path).stem

    def problem(self, place: Location, text: str) -> Problem:
        """Return a problem at a place of the file."""
        where = dotted(place)
        text = f"{where}: {text}" if where else text
        return Problem(self.path, self.document.line_of(place), text)


@dataclass(frozen=True, slots=True)
class Package:
    """A rules package. Rules are sorted by id; ``sources`` holds the source of each by its id.

    A folder of bare rule files is a package without manifest that has the folder's name.
    """

    id: str
    title: str
    version: str
    provider: str
    description: str
    path: str
    rules: tuple[Rule, ...]
    sources: dict[str, Source]
    manifest: Manifest | None = None
    source: Source | None = None
    """Source of the manifest."""

    @property
    def telemetry(self) -> tuple[str, ...]:
        """Return the telemetry kinds that its rules need, sorted."""
        return tuple(sorted({kind for rule in self.rules for kind in rule.telemetry}))


def load_packages(path: Path | None = None) -> list[Package]:
    """Return the packages at ``path`` sorted by id; None = the shipped ones.

    Raises:
        RuleFileError: With every problem of every file.
    """
    packages, problems = read_packages([] if path is None else [path])
    if problems:
        raise RuleFileError(problems)
    return packages


def read_packages(paths: Iterable[Path] = ()) -> tuple[list[Package], list[Problem]]:
    """Return what can be read at ``paths`` and every problem; no paths = the shipped packages."""
    reader = _Reader()
    for path in dict.fromkeys(paths) or [resources.files("rules").joinpath("packages")]:
        reader.read(path)
    packages = sorted(reader.packages, key=lambda package: (package.id, package.path))
    return packages, sorted([*reader.problems, *_repeated_ids(packages)])


def rules_digest(packages: Iterable[Package]) -> str:
    """Return the hash of a set of rules: which they are, and everything that they say."""
    return digest_of(
        sorted([package.id, rule.id, rule.digest] for package in packages for rule in package.rules)
    )


class _Reader:
    """Collects packages and problems; it never raises for what it finds on disk."""

    def __init__(self) -> None:
        self.packages: list[Package] = []
        self.problems: list[Problem] = []

    def read(self, path: Traversable) -> None:
        try:
            if path.is_dir():
                self._folder(path)
            elif path.is_file():
                self._bare(Path(str(path)).absolute().parent, [path])
            else:
                self._problem(path, "there is no such file or folder")
        except OSError as error:
            self._problem(path, f"cannot be read: {error.strerror}")

    def _folder(self, folder: Traversable) -> None:
        entries = _entries(folder)
        names = [entry.name for entry in entries]
        if MANIFEST in names:
            self._package(folder, entries)
            return
        files = [entry for entry in entries if _is_yaml(entry.name)]
        if files:
            self._bare(folder, files)
        folders = [entry for entry in entries if entry.is_dir()]
        found = [sub for sub in folders if self._is_package(sub, alone=not files)]
        if files and found:
            self._problem(folder, f"holds rule files beside the package {found[0].name}; move them")
        if not files and not found and not self.problems:
            self._problem(folder, "holds no rules: no package.yaml, no packages, no .yaml files")

    def _is_package(self, folder: Traversable, *, alone: bool) -> bool:
        try:
            entries = _entries(folder)
        except OSError as error:
            self._problem(folder, f"cannot be read: {error.strerror}")
            return False
        if any(entry.name == MANIFEST for entry in entries):
            self._package(folder, entries)
            return True
        if alone and any(_is_yaml(entry.name) for entry in entries):
            self._problem(folder, f"holds rule files, but no {MANIFEST}")
        return False

    def _package(self, folder: Traversable, entries: list[Traversable]) -> None:
        rules, sources = self._rules(entry for entry in entries if entry.name != MANIFEST)
        read = self._file(folder.joinpath(MANIFEST), Manifest)
        if read is not None:
            manifest, source = read
            self.packages.append(
                Package(
                    id=manifest.id,
                    title=manifest.title,
                    version=manifest.version,
                    provider=manifest.provider,
                    description=manifest.description,
                    path=_shown(folder),
                    rules=rules,
                    sources=sources,
                    manifest=manifest,
                    source=source,
                )
            )

    def _bare(self, folder: Traversable, files: list[Traversable]) -> None:
        rules, sources = self._rules(files)
        name = Path(str(folder)).absolute().name
        self.packages.append(
            Package(
                id=name,
                title=name,
                version="0.0.0",
                provider="local",
                description=f"Rule files of the folder {name}.",
                path=_shown(folder),
                rules=rules,
                sources=sources,
            )
        )

    def _rules(self, entries: Iterable[Traversable]) -> tuple[tuple[Rule, ...], dict[str, Source]]:
        rules: dict[str, Rule] = {}
        sources: dict[str, Source] = {}
        for entry in entries:
            read = self._file(entry, Rule) if _is_yaml(entry.name) else None
            if read is None:
                continue
            rule, source = read
            if rule.id in rules:
                self.problems.append(_taken(source, rule.id, sources[rule.id]))
            else:
                rules[rule.id], sources[rule.id] = rule, source
        return tuple(rules[name] for name in sorted(rules)), sources

    def _file(self, file: Traversable, model: type[_Model]) -> tuple[_Model, Source] | None:
        try:
            data = self._bytes(file)
        except OSError as error:
            self._problem(file, f"cannot be read: {error.strerror}")
            return None
        if data is None:
            return None
        document = read_document(data)
        source = Source(_shown(file), document, data)
        problems = [Problem(source.path, line, text) for line, text in document.problems]
        read = None
        if document.complete:
            try:
                read = model.model_validate(document.value)
            except ValidationError as error:
                problems += [
                    source.problem(details["loc"], details["msg"])
                    for details in error.errors(include_url=False)
                    if not _is_inside(details["loc"], document.unreliable)
                ]
        self.problems += problems
        return None if read is None or problems else (read, source)

    def _bytes(self, file: Traversable) -> bytes | None:
        if not file.name.endswith(".yaml"):
            self._problem(file, "must end in .yaml")
        elif not file.is_file():  # a pipe would block, a device might never end
            self._problem(file, "is no regular file, or a link that leads nowhere")
        else:
            with file.open("rb") as opened:
                return opened.read(MAX_BYTES + 1)
        return None

    def _problem(self, path: Traversable, text: str) -> None:
        self.problems.append(Problem(_shown(path), 1, text))


def _entries(folder: Traversable) -> list[Traversable]:
    """Return what stands in a folder by name, without what is hidden."""
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return sorted(entries, key=lambda entry: entry.name)


def _is_yaml(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _is_inside(place: Location, unreliable: set[Location]) -> bool:
    return any(place[:length] in unreliable for length in range(len(place) + 1))


def _shown(path: Traversable) -> str:
    """Return a path as text that can be printed, whatever bytes its names are made of."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _repeated_ids(packages: list[Package]) -> Iterable[Problem]:
    """Yield rules and packages whose id another package has too: findings name rules by id."""
    rules: dict[str, Source] = {}
    manifests: dict[str, Source] = {}
    for package in packages:
        if package.source is not None:
            if package.id in manifests:
                yield _taken(package.source, package.id, manifests[package.id])
            manifests.setdefault(package.id, package.source)
        for name, source in package.sources.items():
            if name in rules:
                yield _taken(source, name, rules[name])
            rules.setdefault(name, source)


def _taken(source: Source, name: str, first: Source) -> Problem:
    return source.problem(("id",), f"{name} is already the id of {first.path}")
