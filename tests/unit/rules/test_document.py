import pytest
import yaml

from rules import document
from rules.document import MAX_BYTES, MAX_DEPTH, MAX_VALUES, read_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-17", -17),
        ("0.95", 0.95),
        ("1e3", 1000.0),
        ("", None),
        ("no", "no"),
        ("Yes", "Yes"),
        ("~", "~"),
        ("012", "012"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("2026-11-24", "2026-11-24"),
        (".inf", ".inf"),
        ("1:30", "1:30"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("[1, a, null]", [1, "a", None]),
        ("{b: 1, 2: c}", {"b": 1, "2": "c"}),
    ],
)
def test_only_json_spells_types(text: str, value: object) -> None:
    read = read_document(f"a: {text}\n".encode())

    assert read.complete
    assert read.problems == []
    assert read.value == {"a": value}
    assert type(read.value["a"]) is type(value)


def test_every_key_and_item_has_its_line() -> None:
    read = read_document(b"a: 1\n\nb:\n  - x\n  - c: 2\n    d: 3\n")

    assert read.lines == {
        (): 1,
        ("a",): 1,
        ("b",): 3,
        ("b", 0): 4,
        ("b", 1): 5,
        ("b", 1, "c"): 5,
        ("b", 1, "d"): 6,
    }


def test_line_of_a_missing_place_is_that_of_the_place_around_it() -> None:
    read = read_document(b"a: 1\nb:\n  c: 2\n")

    assert read.line_of(("b", "missing", 3)) == 2
    assert read.line_of(("missing",)) == 1


def test_block_text_and_byte_order_mark_are_read() -> None:
    assert read_document(b"\xef\xbb\xbfa: >-\n  one\n  two\n").value == {"a": "one two"}


@pytest.mark.parametrize(
    ("data", "line", "text"),
    [
        (b"", 1, "is empty"),
        (b"# nothing\n", 1, "is empty"),
        (b"a: 1\na: 2\n", 2, "key 'a' is already on line 1"),
        (b"a: 1\nb: {c: 1,\n  c: {d: 2}}\n", 3, "key 'c' is already on line 2"),
        (b"a: &x 1\n", 1, "anchor &x is not allowed"),
        (b"&x a: 1\n", 1, "anchor &x is not allowed"),
        (b"a: !!str 1\n", 1, "tag tag:yaml.org,2002:str is not allowed"),
        (b"a: 1\nb: !!python/object:os.system x\n", 2, "tag tag:yaml.org,2002:python/object:os"),
        (b"%YAML 1.1\n---\na: 1\n", 1, "YAML directives are not allowed"),
        (b"a: 1\n---\nb: 2\n", 2, "a second document starts here; a file holds one"),
        (b"? [a, b]\n: 1\n", 1, "a key must be text"),
        (
            b"a: 1\nb: [1,\nb: 2}\n",
            3,
            (
                "is not YAML: did not find expected ',' or ']' while parsing a flow sequence that "
                "begins on line 2"
            ),
        ),
        (b"\ta: 1\n", 1, "is not YAML: found character that cannot start any token"),
        (b"'a' 'b'\n", 1, "is not YAML: did not find expected <document start>"),
        (b"%\n", 1, "is not YAML: could not find expected directive name"),
        (b"a: 1\nb: \0\n", 2, "character U+0000 is not allowed"),
        ("a: éé\nb: é\x7f\nc: 1\n".encode(), 2, "character U+007F is not allowed"),
        ("a: 1\nb: '\u2028'\n".encode(), 2, "character U+2028 is not allowed"),
        (b"a: 1\nb: \xff\n", 2, "is not UTF-8: invalid start byte"),
        (b"a: " + b"9" * 41, 1, "number has more than 40 characters"),
        (b"a: 1e999\n", 1, "number 1e999 is too large"),
        (b"a: -1e999\n", 1, "number -1e999 is too large"),
        (b" " * (MAX_BYTES + 1), 1, "is larger than 1 MiB"),
        (b"[" * 1000, 1, f"is nested more than {MAX_DEPTH} levels deep"),
        (b"- " * 1000, 1, f"is nested more than {MAX_DEPTH} levels deep"),
        (b"a" * 70 + b": 1\n" + b"a" * 70 + b": 2\n", 2, f"key '{'a' * 60}…' is already"),
    ],
)
def test_what_is_not_strict_yaml_is_a_problem_with_its_line(
    data: bytes, line: int, text: str
) -> None:
    (problem,) = read_document(data).problems

    assert problem[0] == line
    assert problem[1].startswith(text)


def test_too_many_values_end_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_VALUES", 10)

    read = read_document(b"- a\n" * 20)

    assert read.problems == [(10, "holds more than 10 keys and values")]
    assert not read.complete
    assert MAX_VALUES == 50_000


def test_aliases_cannot_multiply() -> None:
    laughs = b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"

    read = read_document(laughs)

    assert read.value == {"a": ["x", "x"], "b": [None, None], "c": [None, None]}
    assert [text for _, text in read.problems] == [
        "anchor &a is not allowed",
        "anchor &b is not allowed",
        *["alias *a is not allowed; write the value out"] * 2,
        *["alias *b is not allowed; write the value out"] * 2,
    ]
    assert ("b", 0) in read.unreliable


def test_repeated_key_keeps_the_first_value_and_the_rest_is_read() -> None:
    read = read_document(b"a: 1\na:\n  deep: [2]\nb: 3\n")

    assert read.value == {"a": 1, "b": 3}
    assert read.complete


def test_reading_works_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_LOADER", yaml.SafeLoader)

    read = read_document(b"a: [1, '2', {b: no}]\n")

    assert read.value == {"a": [1, "2", {"b": "no"}]}
    assert read_document(b"a: 'x\n").problems[0][0] == 2
