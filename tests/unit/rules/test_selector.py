from typing import Any

import pytest
from pydantic import ValidationError

from rules.faults import dotted
from rules.selector import OPERATORS, Condition, Selector, parse_selector
from rules.telemetry.kinds import KINDS, TLS_SESSION


def faults(plain: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        parse_selector(plain)
    return [f"{dotted(error['loc'])}: {error['msg']}" for error in caught.value.errors()]


def test_plain_value_means_equal_and_operators_are_conditions() -> None:
    selector = parse_selector(
        {
            "telemetry": "connection",
            "where": {"direction": "outbound", "remote_port": {"ge": 1024, "ne": 8443}},
            "any_of": [{"protocol": "tcp"}, {"app_protocol": {"in": ["http", "ftp"]}}],
            "none_of": [{"process_name": {"is_null": True}}],
        }
    )

    assert selector == Selector(
        "connection",
        where=(
            Condition("direction", "eq", "outbound"),
            Condition("remote_port", "ge", 1024),
            Condition("remote_port", "ne", 8443),
        ),
        any_of=(
            (Condition("protocol", "eq", "tcp"),),
            (Condition("app_protocol", "in", ("http", "ftp")),),
        ),
        none_of=((Condition("process_name", "is_null", value=True),),),
    )


def test_telemetry_alone_selects_every_row() -> None:
    assert parse_selector({"telemetry": "tls_session"}) == Selector("tls_session")
    assert Selector("tls_session").kind is TLS_SESSION


@pytest.mark.parametrize(
    ("where", "pinned"),
    [
        ({"direction": "inbound"}, {"direction": {"inbound"}}),
        ({"remote_port": {"in": [80, 81]}}, {"remote_port": {80, 81}}),
        ({"remote_port": {"in": [80, 81], "eq": 81}}, {"remote_port": {81}}),
        ({"remote_port": {"in": [80, 81], "eq": 82}}, {"remote_port": set()}),
        ({"remote_port": {"ge": 80}, "direction": {"ne": "inbound"}}, {}),
        ({"direction": {"is_null": True}}, {}),
    ],
)
def test_pinned_are_the_only_values_that_where_accepts(
    where: dict[str, Any], pinned: dict[str, set[object]]
) -> None:
    assert parse_selector({"telemetry": "connection", "where": where}).pinned == pinned


@pytest.mark.parametrize(
    ("plain", "fault"),
    [
        (None, ": must be a map with telemetry and where"),
        ([], ": must be a map with telemetry and where"),
        ({}, "telemetry: is missing"),
        (
            {"telemetry": "konnection"},
            (
                f"telemetry: 'konnection' is no telemetry kind; known kinds: {', '.join(KINDS)}; "
                "did you mean 'connection'?"
            ),
        ),
        (
            {"telemetry": ["connection"]},
            (
                f'telemetry: ["connection"] is no telemetry kind; known kinds: {", ".join(KINDS)}; '
                "did you mean 'connection'?"
            ),
        ),
        (
            {"telemetry": "connection", "whereas": {}},
            "whereas: unknown key; did you mean 'where'?",
        ),
    ],
)
def test_selector_names_a_kind_and_nothing_unknown(plain: object, fault: str) -> None:
    assert faults(plain) == [fault]


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ({}, "where: must be a map of columns, and not empty"),
        ([], "where: must be a map of columns, and not empty"),
        (None, "where: must be a map of columns, and not empty"),
        (
            {"remote_prt": 1},
            "where.remote_prt: connection has no column 'remote_prt'; did you mean 'remote_port'?",
        ),
        (
            {"agent_id": "x"},
            "where.agent_id: agent_id is no column that a rule can name: every row has it",
        ),
        (
            {"direction": "outbond"},
            "where.direction: 'outbond' is none of outbound, inbound; did you mean 'outbound'?",
        ),
        (
            {"direction": None},
            "where.direction: null is no value of direction; write {is_null: true} to ask for it",
        ),
        (
            {"remote_port": "443"},
            "where.remote_port: '443' is no value of remote_port, which holds a port, 0 to 65535",
        ),
        (
            {"remote_port": [80, 443]},
            "where.remote_port: a list needs an operator: {in: [80,443]}",
        ),
        (
            {"remote_port": {}},
            f"where.remote_port: has no operator; known operators: {', '.join(OPERATORS)}",
        ),
        (
            {"remote_port": {"equals": 1}},
            f"where.remote_port.equals: is no operator; known operators: {', '.join(OPERATORS)}",
        ),
        (
            {"remote_port": {"not in": [1]}},
            (
                "where.remote_port.not in: is no operator; known operators: "
                f"{', '.join(OPERATORS)}; did you mean 'not_in'?"
            ),
        ),
        (
            {"remote_port": {"eq": None}},
            (
                "where.remote_port.eq: null is no value of remote_port; write {is_null: true} to "
                "ask for it"
            ),
        ),
        (
            {"remote_port": {"in": []}},
            "where.remote_port.in: must be a list of values, and not empty",
        ),
        (
            {"remote_port": {"in": 80}},
            "where.remote_port.in: must be a list of values, and not empty",
        ),
        (
            {"remote_port": {"in": [80, 70000]}},
            "where.remote_port.in[1]: 70000 is outside of 0 to 65535",
        ),
        (
            {"direction": {"lt": "outbound"}},
            "where.direction.lt: lt is for numbers, and direction holds none",
        ),
        (
            {"remote_port": {"starts_with": "80"}},
            "where.remote_port.starts_with: starts_with is for text, and remote_port holds none",
        ),
        (
            {"process_name": {"starts_with": ""}},
            "where.process_name.starts_with: '' must be text, and not empty",
        ),
        (
            {"process_name": {"ends_with": 3}},
            "where.process_name.ends_with: 3 must be text, and not empty",
        ),
        (
            {"direction": {"ends_with": "band"}},
            "where.direction.ends_with: none of outbound, inbound ends with 'band'",
        ),
        (
            {"process_name": {"is_null": "yes"}},
            "where.process_name.is_null: 'yes' must be true or false",
        ),
    ],
)
def test_wrong_condition_is_a_sentence_at_its_place(where: object, fault: str) -> None:
    assert faults({"telemetry": "connection", "where": where}) == [fault]


@pytest.mark.parametrize("key", ["any_of", "none_of"])
@pytest.mark.parametrize("groups", [[], {}, {"protocol": "tcp"}, "tcp"])
def test_groups_are_a_list_that_is_not_empty(key: str, groups: object) -> None:
    assert faults({"telemetry": "connection", key: groups}) == [
        f"{key}: must be a list of groups, each a map of columns, and not empty"
    ]


def test_every_problem_is_reported_at_once() -> None:
    assert faults(
        {
            "telemetry": "connection",
            "when": 1,
            "where": {"remote_port": {"in": ["a", 1, -1]}, "x": 1},
            "any_of": [{}, {"protocol": "icmp"}],
            "none_of": [{"uid": {"gt": 1, "lt": 2.5}}],
        }
    ) == [
        "when: unknown key; did you mean 'where'?",
        "where.remote_port.in[0]: 'a' is no value of remote_port, which holds a port, 0 to 65535",
        "where.remote_port.in[2]: -1 is outside of 0 to 65535",
        "where.x: connection has no column 'x'",
        "any_of[0]: must be a map of columns, and not empty",
        "any_of[1].protocol: 'icmp' is none of tcp, udp",
        "none_of[0].uid.lt: 2.5 is no value of uid, which holds a whole number",
    ]


def test_parts_of_text_work_on_closed_values() -> None:
    selector = parse_selector(
        {"telemetry": "tls_session", "where": {"tls_version": {"starts_with": "DTLS"}}}
    )

    assert selector.where == (Condition("tls_version", "starts_with", "DTLS"),)
