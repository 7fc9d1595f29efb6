"""The grammar of rule files and package manifests, format 1.

In: the plain map of a file, as ``rules.document`` reads it. Out: a frozen ``Rule`` or
``Manifest``, or every fault with its place. What a rule means is defined in ``rules.reference``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import core_schema

from rules.agreement import agreement_faults
from rules.cases import Case
from rules.columns import Value
from rules.detection import DETECTIONS, Columns, Detection, Names, Text
from rules.faults import (
    Fault,
    Location,
    StrictModel,
    faults_of,
    fields_of,
    model_below,
    raise_faults,
)
from rules.telemetry.kinds import ColumnType
from rules.telemetry.ndjson import canonical

FORMAT: Final = 1
ID_PATTERN: Final = r"[a-z0-9]+(-[a-z0-9]+)*"
TITLE_LENGTH: Final = 100
Severity = Literal["High", "Medium", "Low", "Informational"]
NUMERIC_SEVERITY: Final[Mapping[Severity, int]] = {
    "High": 9,
    "Medium": 6,
    "Low": 3,
    "Informational": 0,
}
VOLATILE_COLUMNS: Final = frozenset({"pid", "process_start_us", "parent_pid"})
"""Columns that differ from run to run, and so never identify an issue."""
VOLATILE_PORTS_ABOVE: Final = 32_767  # Linux hands out ephemeral ports from 32768 on
_Model = TypeVar("_Model", bound=BaseModel)


def _is_newer(value: object) -> bool:
    return type(value) is int and value > FORMAT


def _known_format(value: object) -> object:
    if type(value) is not int or value != FORMAT:
        message = f"is no format; the newest format is {FORMAT}"
        raise ValueError(message)
    return value


@dataclass(frozen=True, slots=True)
class _Spelled:
    """A check that text matches ``pattern``; ``says`` completes the sentence if it does not."""

    pattern: str
    says: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^{self.pattern}$"}

    def _checked(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise ValueError(self.says)
        return value


Format = Annotated[Literal[1], BeforeValidator(_known_format)]
Id = Annotated[
    str,
    StringConstraints(max_length=100),
    _Spelled(ID_PATTERN, "is no id: lower case words and digits joined by -"),
]
Technique = Annotated[
    str, _Spelled(r"T[0-9]{4}(\.[0-9]{3})?", "is no ATT&CK technique, such as T1557 or T1557.002")
]
Weakness = Annotated[str, _Spelled(r"CWE-[0-9]{1,5}", "is no weakness id, such as CWE-319")]
SemanticVersion = Annotated[
    str, _Spelled(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", "is no version, such as 1.0.0")
]


class Reference(StrictModel):
    """Something to read: a standard, a manual, an advisory."""

    title: Text
    url: Text


class Rule(StrictModel):
    """One rule file."""

    format: Format = Field(description="Version of this grammar.")
    id: Id = Field(description="Equals the file's name; never used again for another rule.")
    title: Annotated[Text, StringConstraints(max_length=TITLE_LENGTH)] = Field(
        description="States what is so, not what should be."
    )
    severity: Severity
    version: Annotated[int, Field(ge=1)] = Field(
        description="Raised by one whenever findings can change."
    )
    status: Literal["experimental", "stable", "deprecated"]
    description: Text = Field(description="One sentence: what was observed.")
    rationale: Text = Field(description="Why it matters, with the standard that says so.")
    recommendation: Text = Field(description="What to do, as a request.")
    references: Annotated[tuple[Reference, ...], Field(strict=False, min_length=1)]
    limitations: Names = Field(default=(), description="What this rule cannot see.")
    detection: Detection
    summary: Text = Field(
        description="Text of one finding: {column} of group_by, {count}, {first_seen}, {last_seen}."
    )
    identity: Columns | None = Field(
        default=None, description="Columns of group_by by which runs are compared."
    )
    attack: Annotated[tuple[Technique, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, description="MITRE ATT&CK technique ids."
    )
    cwe: Annotated[tuple[Weakness, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, description="Common Weakness Enumeration ids."
    )
    tests: Annotated[tuple[Case, ...], Field(strict=False, min_length=1)] = Field(
        default=(), description="At least one that fires and one that stays silent."
    )
    _document: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _in_sentences(cls, plain: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Report every fault of the whole file in sentences; keep the plain file."""
        rule = _validated(cls, plain, handler, agreement_faults)
        if isinstance(plain, dict):
            rule._document = plain  # noqa: SLF001 (its own)
        return rule

    @property
    def document(self) -> dict[str, Any]:
        """Return the file as plain values; do not change them."""
        return self._document

    @property
    def numeric_severity(self) -> int:
        """Return the severity as the number that APIs report."""
        return NUMERIC_SEVERITY[self.severity]

    @property
    def telemetry(self) -> tuple[str, ...]:
        """Return the telemetry kinds that the rule needs, sorted."""
        return tuple(sorted({selector.telemetry for selector in self.detection.selectors}))

    @property
    def group_by(self) -> tuple[str, ...]:
        """Return the columns that tell findings of one host apart."""
        return self.detection.group_by

    @cached_property
    def identity_columns(self) -> tuple[str, ...]:
        """Return the columns that make the issue id: ``identity``, or what ``group_by`` implies.

        Without ``identity``: ``group_by`` without addresses and without what changes from run to
        run. A port above ``VOLATILE_PORTS_ABOVE`` is left out as well; that depends on the value,
        so ``issue_key`` does it.
        """
        columns = self.detection.selectors[0].kind.columns
        named = self.identity or tuple(
            name for name in self.group_by if columns[name].type is not ColumnType.ADDRESS
        )
        return tuple(name for name in named if name not in VOLATILE_COLUMNS)

    def issue_key(self, group: Mapping[str, Value | None]) -> dict[str, Value | None]:
        """Return what of a finding's group identifies the issue behind it from run to run."""
        columns = self.detection.selectors[0].kind.columns
        key = {name: group.get(name) for name in self.identity_columns}
        return {
            name: value
            for name, value in key.items()
            if not (
                columns[name].type is ColumnType.PORT
                and isinstance(value, int)
                and value > VOLATILE_PORTS_ABOVE
            )
        }

    @property
    def digest(self) -> str:
        """Return the hash of everything the file says."""
        return digest_of(self._document)

    @property
    def detection_digest(self) -> str:
        """Return the hash of what decides findings; where it changes, ``version`` must rise."""
        deciding = ("detection", "identity", "severity")
        return digest_of({key: self._document.get(key) for key in deciding})


class Manifest(StrictModel):
    """One ``package.yaml``."""

    format: Format
    id: Id
    title: Annotated[Text, StringConstraints(max_length=TITLE_LENGTH)]
    version: SemanticVersion
    provider: Text
    description: Text
    telemetry: Names
    rules: Names
    withdrawn: Names = ()
    """Ids of rules that the package no longer has; they are never used again."""

    @model_validator(mode="wrap")
    @classmethod
    def _in_sentences(cls, plain: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Report every fault of the whole file in sentences."""
        return _validated(cls, plain, handler, lambda _: [])


def digest_of(plain: object) -> str:
    """Return the SHA-256 of plain values in canonical JSON, as hexadecimal text."""
    return hashlib.sha256(canonical(plain)).hexdigest()


def _validated(
    model: type[_Model],
    plain: object,
    handler: Callable[[object], _Model],
    agreement: Callable[[object], list[Fault]],
) -> _Model:
    if isinstance(plain, dict) and _is_newer(plain.get("format")):
        # Whatever else stands in there is not ours to judge.
        text = f"{plain['format']} is unknown; the newest format this version knows is {FORMAT}"
        raise_faults(model.__name__, [(("format",), text)])
    faults = agreement(plain)
    known = {place for place, _ in faults}
    try:
        read = handler(plain)
    except ValidationError as error:
        found = faults_of(error, lambda place: _keys_at(model, place))
        faults += [(place, text) for place, text in found if _untagged(place) not in known]
    if faults:
        raise_faults(model.__name__, [(_untagged(place), text) for place, text in faults])
    return read


def _keys_at(model: type[BaseModel], place: Location) -> Iterable[str]:
    """Return the keys that the map at ``place`` may have; places name detections by their kind."""
    names = [part for part in place if isinstance(part, str)]
    while names:
        name = names.pop(0)
        tagged = name == "detection" and bool(names)
        model = DETECTIONS[names.pop(0)] if tagged else model_below(model, name)
    return fields_of(model)


def _untagged(place: Location) -> Location:
    """Return a place as it stands in the file: pydantic adds the kind of a detection to it."""
    if place[:1] == ("detection",) and place[1:2] and place[1] in DETECTIONS:
        return ("detection", *place[2:])
    return place
