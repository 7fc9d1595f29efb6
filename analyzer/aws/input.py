"""Input: from a request's JSON to the members that an operation takes.

In: bytes, the operation. Out: a dict with known members only, nulls left out, times in
microseconds; or the error that names everything that is wrong. Clients check required members and
minima before they send; maxima, closed lists and patterns nobody has checked before this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from analyzer.aws.errors import invalid_input, unserializable
from analyzer.aws.input_codes import ITEM, code_of

if TYPE_CHECKING:
    from analyzer.aws.shapes import Kind, Operation, Shape

Path = tuple[str, ...]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_S: Final = 253_402_300_799  # the end of the year 9999
_EARLIEST_S: Final = -62_135_596_800  # the beginning of the year 1
_LONGEST_SHOWN: Final = 60  # characters of a refused value that a message repeats
_MOST_NAMED: Final = 10  # problems that one message names

# JSON's own types per kind. A boolean is no number, though Python says so.
_TYPES: Final[dict[Kind, tuple[type, ...]]] = {
    "structure": (dict,),
    "list": (list,),
    "map": (dict,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, str),
}


@dataclass(frozen=True, slots=True)
class _Problem:
    path: Path
    is_length_of_list: bool
    text: str


@dataclass(slots=True)
class _Reader:
    problems: list[_Problem] = field(default_factory=list)

    def read(self, shape: Shape, value: object, path: Path) -> Any:  # noqa: ANN401 (JSON)
        expected = _TYPES[shape.kind]
        is_bool = isinstance(value, bool)
        if not isinstance(value, expected) or (is_bool and shape.kind != "boolean"):
            raise unserializable(f"{_shown_path(path)} must be of type {shape.kind}")
        if shape.kind == "structure":
            return self._structure(shape, value, path)
        if shape.kind == "list":
            return self._list(shape, value, path)
        if shape.kind == "timestamp":
            return _microseconds(value, path)
        self._check_scalar(shape, value, path)
        return value

    def _structure(self, shape: Shape, value: Any, path: Path) -> dict[str, Any]:  # noqa: ANN401
        for name in shape.required:
            if value.get(name) is None:
                self._note((*path, name), "null", "must not be null")
        return {
            name: self.read(member, value[name], (*path, name))
            for name, member in shape.members.items()
            if value.get(name) is not None
        }

    def _list(self, shape: Shape, value: Any, path: Path) -> list[Any]:  # noqa: ANN401
        item = shape.item
        assert item is not None  # noqa: S101 (the model gives every list its items)
        self._check_length(shape, len(value), path)
        inside = (*path, ITEM)
        return [self.read(item, one, inside) for one in value]

    def _check_length(self, shape: Shape, length: int, path: Path) -> None:
        if shape.minimum is not None and length < shape.minimum:
            bound = f"must have length greater than or equal to {shape.minimum}"
            self._note(path, f"of {length} items", bound, is_length_of_list=True)
        if shape.maximum is not None and length > shape.maximum:
            bound = f"must have length less than or equal to {shape.maximum}"
            self._note(path, f"of {length} items", bound, is_length_of_list=True)

    def _check_scalar(self, shape: Shape, value: Any, path: Path) -> None:  # noqa: ANN401
        size, what = (len(value), "length") if shape.kind == "string" else (value, "value")
        if shape.minimum is not None and size < shape.minimum:
            bound = f"must have {what} greater than or equal to {shape.minimum}"
            self._note(path, _shown(value), bound)
        if shape.maximum is not None and size > shape.maximum:
            bound = f"must have {what} less than or equal to {shape.maximum}"
            self._note(path, _shown(value), bound)
        if shape.choices and value not in shape.choices:
            bound = f"must satisfy enum value set: [{', '.join(sorted(shape.choices))}]"
            self._note(path, _shown(value), bound)
        if shape.pattern is not None and not shape.pattern.fullmatch(value):
            bound = f"must satisfy regular expression pattern: {shape.pattern.pattern}"
            self._note(path, _shown(value), bound)

    def _note(self, path: Path, value: str, bound: str, *, is_length_of_list: bool = False) -> None:
        text = (
            f"Value {value} at '{_shown_path(path)}' failed to satisfy constraint: Member {bound}"
        )
        self.problems.append(_Problem(path, is_length_of_list, text))


def read_input(operation: Operation, body: bytes) -> dict[str, Any]:
    """Return what the operation is called with.

    Raises:
        AwsError: The body is no JSON object, a member has another type, or breaks a bound.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise unserializable(f"the body is not JSON: {error}") from error
    reader = _Reader()
    taken: dict[str, Any] = reader.read(operation.input, value, ())
    if reader.problems:
        raise _refusal(operation, reader.problems)
    return taken


def _refusal(operation: Operation, problems: list[_Problem]) -> Exception:
    first = problems[0]
    code = code_of(operation.name, first.path, is_length_of_list=first.is_length_of_list)
    number = len(problems)
    named = "; ".join(problem.text for problem in problems[:_MOST_NAMED])
    errors = "error" if number == 1 else "errors"
    return invalid_input(code, f"{number} validation {errors} detected: {named}")


def _microseconds(value: Any, path: Path) -> int:  # noqa: ANN401 (a number or a text)
    try:
        seconds: float = _seconds(value) if isinstance(value, str) else value
    except (ValueError, OverflowError) as error:
        raise unserializable(f"{_shown_path(path)} is no time: {_shown(value)}") from error
    if not _EARLIEST_S <= seconds <= _LATEST_S:
        raise unserializable(f"{_shown_path(path)} is no time: {_shown(value)}")
    return round(seconds * 1_000_000)


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    # A time without zone is UTC, as in every reply.
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH).total_seconds()


def _shown(value: object) -> str:
    text = str(value)
    return f"'{text}'" if len(text) <= _LONGEST_SHOWN else f"'{text[:_LONGEST_SHOWN]}…'"


def _shown_path(path: Path) -> str:
    return ".".join(path).replace(f".{ITEM}", ITEM) or "the body"
