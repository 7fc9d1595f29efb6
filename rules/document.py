"""Strict YAML: one document of JSON types, with the line of every key.

In: the bytes of a file. Out: plain values and where they stand, and every problem with its line.
YAML's surprises are refused: anchors, aliases, tags, directives, duplicate keys, more documents.
Only JSON spells types, so ``no``, ``012`` and dates are text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from rules.faults import Location

MAX_BYTES: Final = 1 << 20  # a rule file is a few kilobytes; more is a mistake or an attack
MAX_DEPTH: Final = 32  # the deepest place of the grammar is 7
MAX_VALUES: Final = 50_000  # maps, lists, keys and scalars; long rules have about a thousand
_MAX_NUMBER: Final = 40  # characters; no column or setting needs more
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where the wheel has it
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LINE_BREAKS = re.compile("[\x85\u2028\u2029]")  # to YAML 1.1 alone: not to JSON, not to editors
_WORDS: Final = {"": None, "null": None, "true": True, "false": False}


@dataclass(slots=True)
class Document:
    """What a file says.

    Attributes:
        value: Plain JSON values; None where the file could not be read to its end.
        lines: The line of each key and list item, counted from 1.
        problems: ``(line, text)`` of each breach of strict YAML.
        unreliable: Places whose value was refused and must not be judged further.
    """

    value: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)
    unreliable: set[Location] = field(default_factory=set)
    complete: bool = False

    def line_of(self, location: Location) -> int:
        """Return the line of a place, or of the nearest place around it."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def read_document(data: bytes) -> Document:
    """Return what the bytes of a file say; nothing is raised, whatever they are."""
    document = Document()
    if len(data) > MAX_BYTES:
        document.problems.append((1, f"is larger than {MAX_BYTES >> 20} MiB"))
        return document
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        document.problems.append((line, f"is not UTF-8: {error.reason}"))
        return document
    hidden = _LINE_BREAKS.search(text)
    if hidden is not None:
        document.problems.append(_character_problem(text, hidden.start()))
        return document
    try:
        _Builder(document).build(text)
    except yaml.MarkedYAMLError as error:
        document.problems.append(_syntax_problem(error))
    except yaml.reader.ReaderError as error:
        # Its position counts bytes in libyaml and characters without; the character is sure.
        document.problems.append(_character_problem(text, text.find(chr(error.character))))
    except _GiveUpError as error:
        document.problems.append((error.line, str(error)))
    else:
        document.complete = True
    return document


class _GiveUpError(Exception):
    """The rest of the file makes no sense to read."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


@dataclass(slots=True)
class _Frame:
    """A map or list that is still open."""

    value: dict[str, Any] | list[Any]
    location: Location
    key: str | None = None
    """The key that waits for its value; none yet where a key comes next."""
    ignored: bool = False
    """Whether the key was refused, so that its value is dropped."""


class _Builder:
    """Turns parser events into values, without recursion: depth is the sender's choice."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: list[_Frame] = []
        self._documents = 0
        self._values = 0

    def build(self, text: str) -> None:
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.DocumentStartEvent):
                self._start_document(event, line)
            elif isinstance(event, yaml.NodeEvent):
                self._values += 1
                if self._values > MAX_VALUES:
                    raise _GiveUpError(line, f"holds more than {MAX_VALUES} keys and values")
                self._node(event, line)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._open.pop()
        if not self._documents:
            raise _GiveUpError(1, "is empty")

    def _start_document(self, event: yaml.DocumentStartEvent, line: int) -> None:
        self._documents += 1
        if self._documents > 1:
            raise _GiveUpError(line, "a second document starts here; a file holds one")
        if event.version or event.tags:
            self._problem(line, "YAML directives are not allowed")

    def _node(self, event: yaml.NodeEvent, line: int) -> None:
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            self._key(event, line)
            return
        location = self._place()
        self._document.lines.setdefault(location, line)
        self._refuse_extras(event, location, line)
        if isinstance(event, yaml.ScalarEvent):
            self._put(self._scalar(event, line))
        elif isinstance(event, yaml.CollectionStartEvent):
            value: dict[str, Any] | list[Any] = (
                {} if isinstance(event, yaml.MappingStartEvent) else []
            )
            self._put(value)
            if len(self._open) >= MAX_DEPTH:
                raise _GiveUpError(line, f"is nested more than {MAX_DEPTH} levels deep")
            self._open.append(_Frame(value, location))
        else:
            self._put(None)

    def _key(self, event: yaml.NodeEvent, line: int) -> None:
        frame = self._open[-1]
        if not isinstance(event, yaml.ScalarEvent):
            raise _GiveUpError(line, "a key must be text")
        self._refuse_extras(event, (), line)
        frame.key = event.value
        location = (*frame.location, event.value)
        frame.ignored = event.value in frame.value
        if frame.ignored:
            first = self._document.lines[location]
            self._problem(line, f"key {_shown(event.value)} is already on line {first}")
        else:
            self._document.lines[location] = line

    def _place(self) -> Location:
        if not self._open:
            return ()
        frame = self._open[-1]
        if isinstance(frame.value, list):
            return (*frame.location, len(frame.value))
        # What stands under a repeated key is read, but apart from what the first one says.
        key = frame.key or ""
        return (*frame.location, key, "again") if frame.ignored else (*frame.location, key)

    def _put(self, value: Any) -> None:  # noqa: ANN401 (a JSON value)
        if not self._open:
            self._document.value = value
            return
        frame = self._open[-1]
        if isinstance(frame.value, list):
            frame.value.append(value)
            return
        if not frame.ignored:
            frame.value[frame.key or ""] = value
        frame.key = None

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Any:  # noqa: ANN401 (a JSON value)
        text: str = event.value
        if event.style:  # quoted, or a block: always text
            return text
        if text in _WORDS:
            return _WORDS[text]
        return self._number(text, line) if _NUMBER.fullmatch(text) else text

    def _number(self, text: str, line: int) -> int | float:
        if len(text) > _MAX_NUMBER:
            self._problem(line, f"number has more than {_MAX_NUMBER} characters")
            return 0
        if _INTEGER.fullmatch(text):
            return int(text)
        number = float(text)
        if number in (float("inf"), float("-inf")):
            self._problem(line, f"number {text} is too large")
            return 0
        return number

    def _refuse_extras(self, event: yaml.NodeEvent, location: Location, line: int) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._problem(line, f"alias *{event.anchor} is not allowed; write the value out")
            self._document.unreliable.add(location)
            return
        if event.anchor is not None:
            self._problem(line, f"anchor &{event.anchor} is not allowed")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._problem(line, f"tag {tag} is not allowed")
            self._document.unreliable.add(location)

    def _problem(self, line: int, text: str) -> None:
        self._document.problems.append((line, text))


def _syntax_problem(error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """Return the line where reading failed, and how; what was open may have begun earlier."""
    line = error.problem_mark.line + 1 if error.problem_mark else 1
    text = f"is not YAML: {error.problem}"
    if error.context and error.context_mark:
        text += f" {error.context} that begins on line {error.context_mark.line + 1}"
    return line, text


def _character_problem(text: str, position: int) -> tuple[int, str]:
    line = text.count("\n", 0, position) + 1
    return line, f"character U+{ord(text[position]):04X} is not allowed"


def _shown(text: str) -> str:
    limit = 60  # characters of somebody else's text in a message
    return repr(text if len(text) <= limit else text[:limit] + "…")
