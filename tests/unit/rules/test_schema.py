"""The JSON Schema and the tables of the reference page, which are generated."""

import json

import jsonschema
import pytest

from rules.loader import load_packages
from rules.schema import SCHEMA_PATH, rule_schema, schema_text
from rules.skeleton import SKELETON_KINDS, skeleton
from rules.tables import README_PATH, with_tables
from rules.telemetry.kinds import KINDS
from tests.rule_documents import EVENT, SEQUENCE, THRESHOLD, changed, document
from tests.rule_files import TESTS


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))


def test_schema_file_is_current() -> None:
    assert SCHEMA_PATH.read_text(encoding="utf-8") == schema_text(), (
        "run: python -m rules schema --write"
    )


def test_reference_page_is_current() -> None:
    text = README_PATH.read_text(encoding="utf-8")

    assert text == with_tables(text), "run: python -m rules schema --write"


def test_schema_is_valid_draft_7() -> None:
    jsonschema.Draft7Validator.check_schema(rule_schema())


def test_every_reference_leads_somewhere(validator: jsonschema.Draft7Validator) -> None:
    text = json.dumps(validator.schema)
    names = {part.split('"', 1)[0] for part in text.split('"#/definitions/')[1:]}

    assert names <= set(validator.schema["definitions"])
    assert "x-" not in "".join(validator.schema["definitions"]["EventDetection"]["properties"])


def test_every_shipped_rule_is_valid(validator: jsonschema.Draft7Validator) -> None:
    for package in load_packages():
        for rule in package.rules:
            assert [error.message for error in validator.iter_errors(rule.document)] == []


@pytest.mark.parametrize("kind", SKELETON_KINDS)
def test_every_skeleton_is_valid(validator: jsonschema.Draft7Validator, kind: str) -> None:
    from rules.document import read_document

    assert validator.is_valid(read_document(skeleton("some-rule", kind).encode()).value)


@pytest.mark.parametrize(
    "plain",
    [
        document(severity="high"),
        document(extra=1),
        document(id="Some Rule"),
        document(attack=["1040"]),
        document(limitations=[]),
        document(changed(EVENT, group_by=["ts_us"])),
        document(changed(EVENT, select={"telemetry": "nothing"})),
        document(changed(EVENT, select={"telemetry": "connection", "where": {"tls_version": "x"}})),
        document(changed(EVENT, select={"telemetry": "connection", "where": {}})),
        document(
            changed(
                EVENT, select={"telemetry": "tls_session", "where": {"tls_version": {"in": ["1"]}}}
            )
        ),
        document(
            changed(EVENT, select={"telemetry": "connection", "where": {"direction": {"lt": 1}}})
        ),
        document(changed(THRESHOLD, within="5")),
        document(changed(THRESHOLD, count=None)),
        document(changed(THRESHOLD, sum={"column": "bytes_sent", "gt": 1})),
        document(changed(SEQUENCE, match_on=[])),
        document(tests=[{**TESTS[0], "events": [{"at": "1s", "telemetry": "connection", "x": 1}]}]),
        document(tests=[{**TESTS[0], "events": [{"telemetry": "connection"}]}]),
    ],
)
def test_what_the_loader_refuses_is_marked_in_an_editor(
    validator: jsonschema.Draft7Validator, plain: object
) -> None:
    assert not validator.is_valid(plain)


def test_null_column_of_a_test_event_is_valid(validator: jsonschema.Draft7Validator) -> None:
    event = {"at": "1s", "telemetry": "connection", "process_name": None, "direction": None}

    assert validator.is_valid(document(tests=[{**TESTS[0], "events": [event]}]))


def test_every_kind_and_column_is_on_the_reference_page() -> None:
    text = README_PATH.read_text(encoding="utf-8")

    for kind in KINDS.values():
        assert f"\n### {kind.name}\n" in text
        for column in kind.columns.values():
            assert f"| `{column.name}` |" in text


def test_text_between_the_marks_is_replaced_and_nothing_else() -> None:
    page = "a\n<!-- generated: rules -->\nold\n<!-- end of rules -->\nb <!-- end of rules -->\n"

    made = with_tables(page)

    assert made.startswith("a\n<!-- generated: rules -->\n\n| package | rule |")
    assert made.endswith("|\n\n<!-- end of rules -->\nb <!-- end of rules -->\n")
    assert "old" not in made
    assert with_tables(made) == made


def test_unknown_table_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        with_tables("<!-- generated: nothing -->\n<!-- end of nothing -->")
