"""Rule files of any content: they load or end in sentences, and what loads can be used."""

import copy
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rules.columns import stored_form, value_problem
from rules.document import read_document
from rules.errors import EventError
from rules.explain import explain
from rules.format import Rule
from rules.mutants import mutants
from rules.reference import judge
from rules.rehearsal import mismatch, stages
from rules.schema import rule_schema
from rules.telemetry.kinds import KINDS, Column
from rules.telemetry.ledger import Ledger
from rules.telemetry.ndjson import canonical, decode_line
from tests.rule_documents import ABSENCE, EVENT, PERIODIC, SEQUENCE, THRESHOLD, Plain, document
from tests.rule_files import TESTS

yaml_like = st.text(
    st.sampled_from(list("{}[]():,-.?&*!|>'\"%#@ \n\t\r\\~=<ab01é\ufeff\u2028\0")), max_size=60
)
words = st.sampled_from(
    ["connection", "outbound", "remote_port", "event", "5m", "0s", "count", "gt", "in", "eq", ""]
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70_000),
    st.floats(allow_nan=False, allow_infinity=False),
    words,
    st.text(),
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.text(), inner, max_size=3)
    ),
    max_leaves=5,
)
rules = st.sampled_from(
    [
        document(detection, tests=TESTS, identity=["process_name"], attack=["T1040"])
        if detection in (EVENT, THRESHOLD)
        else document(detection, limitations=["x"])
        for detection in (EVENT, THRESHOLD, ABSENCE, SEQUENCE, PERIODIC)
    ]
)
SCHEMA = jsonschema.Draft7Validator(rule_schema())


@st.composite
def damaged(draw: st.DrawFn) -> Plain:
    """Return a rule file with one place replaced, removed, or given a new key."""
    plain = copy.deepcopy(draw(rules))
    parent: Any = plain
    while True:
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        if not keys:
            return plain
        key = draw(st.sampled_from(keys))
        child = parent[key]
        if isinstance(child, dict | list) and draw(st.booleans()):
            parent = child
            continue
        change = draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            parent[key] = draw(trees)
        elif change == "remove":
            del parent[key]
        elif isinstance(parent, dict):
            parent[draw(words | st.text())] = draw(trees)
        else:
            parent.append(draw(trees))
        return plain


def loaded(plain: object) -> Rule | list[ErrorDetails]:
    try:
        return Rule.model_validate(plain)
    except ValidationError as error:
        return error.errors()


def check_lines(data: bytes) -> None:
    document_ = read_document(data)
    assert document_.complete or document_.problems
    last = data.count(b"\n") + data.count(b"\r") + data.count("\u2028".encode()) + 2
    assert all(1 <= line <= last and text for line, text in document_.problems)
    if not document_.complete:
        return
    with pytest.raises(ValidationError) as caught:
        Rule.model_validate(document_.value)
    for error in caught.value.errors():
        assert 1 <= document_.line_of(error["loc"]) <= last
        assert error["msg"]


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf")
@example(b"? ")
@example(b"- - - ? - :")
def test_any_bytes_end_in_problems(data: bytes) -> None:
    check_lines(data)


@given(yaml_like)
@example("&a : *a")
@example("a: !<tag> b")
@example("{? : }")
def test_any_text_ends_in_problems(text: str) -> None:
    check_lines(text.encode())


@given(trees)
def test_json_survives_strict_yaml(tree: object) -> None:
    """What JSON can say is read as JSON would read it, if no number is too long for us."""
    data = canonical(tree)
    read = read_document(data)

    if read.complete and not read.problems:
        assert canonical(read.value) == data


@given(damaged())
def test_damaged_rule_ends_in_sentences_or_can_be_used(plain: Plain) -> None:
    rule = loaded(plain)
    if not isinstance(rule, Rule):
        assert rule
        assert all(fault["type"] == "fault" for fault in rule)
        return
    assert [error.message for error in SCHEMA.iter_errors(plain)] == []
    assert explain(rule, "site")
    assert len(rule.digest) == 64
    for mutant in mutants(rule.detection):
        changed = rule.model_copy(update={"detection": mutant.detection})
        judge(changed, "i-1", {}, Ledger(0, 1))
    for stage in stages(rule):
        mismatch(rule, stage)


@given(damaged())
def test_every_fault_has_a_line_of_the_file(plain: Plain) -> None:
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    read = read_document(text.encode())
    if not read.complete:
        return
    rule = loaded(read.value)
    if not isinstance(rule, Rule):
        lines = text.count("\n") + 1
        assert all(1 <= read.line_of(fault["loc"]) <= lines for fault in rule)


every_column = st.sampled_from(
    [(kind.name, column) for kind in KINDS.values() for column in kind.columns.values()]
)


@given(
    every_column,
    st.one_of(
        scalars.filter(lambda value: value is not None),
        st.sampled_from(
            sorted(
                {
                    text
                    for _, c in [(0, c) for k in KINDS.values() for c in k.own]
                    for text in c.closed
                }
            )
        ),
        st.integers(-(2**63), 2**64 - 1),
        st.just("::ffff:10.0.0.1"),
    ),
)
def test_rule_may_ask_for_what_telemetry_can_hold(
    place: tuple[str, Column],
    value: Any,  # noqa: ANN401 (any JSON)
) -> None:
    kind, column = place
    line = canonical({"telemetry": kind, "ts_us": 0, "agent_id": "i-1", column.name: value})
    try:
        row = decode_line(line)
    except EventError:
        assert value_problem(column, value) is not None
        return
    assert value_problem(column, value) is None
    assert isinstance(row, dict)
    assert row[column.name] == stored_form(column, value)
