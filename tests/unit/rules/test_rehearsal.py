import pytest

from rules.rehearsal import mismatch, stages
from tests.rule_documents import ABSENCE, EVENT, Plain, changed, rule

ROW: Plain = {"at": "1s", "telemetry": "connection", "process_name": "a", "remote_port": 23}
LISTENER: Plain = {"at": "1s", "telemetry": "listener", "local_port": 80}


def told(detection: Plain, **case: object) -> str | None:
    read = rule(detection, tests=[{"name": "a test", "events": [], "expect": [], **case}])
    return mismatch(read, stages(read)[0])


@pytest.mark.parametrize(
    "case",
    [
        {"events": [ROW], "expect": [{"process_name": "a"}]},
        {"events": [{**ROW, "process_name": None}], "expect": [{}]},
        {"events": [{**ROW, "process_name": None}], "expect": [{"process_name": None}]},
        {"events": [{**ROW, "remote_port": 22}]},
        {"events": []},
        {
            "events": [{**ROW, "agent_id": "i-2"}],
            "expect": [{"agent_id": "i-2", "process_name": "a"}],
        },
        {"events": [ROW], "expect": [{"process_name": "a"}], "coverage": 0.1},
        {"coverage": 0.5},
        {"coverage": 0.499999, "not_evaluated": True},
    ],
)
def test_outcome_as_expected_is_no_mismatch(case: Plain) -> None:
    assert told(EVENT, **case) is None


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (
            {"expect": [{"process_name": "a"}]},
            'expected and did not fire: {"agent_id":"i-test","process_name":"a"}',
        ),
        (
            {"events": [ROW]},
            'fired and was not expected: {"agent_id":"i-test","process_name":"a"}',
        ),
        (
            {"events": [ROW], "expect": [{"process_name": "b"}]},
            (
                'expected and did not fire: {"agent_id":"i-test","process_name":"b"}; '
                'fired and was not expected: {"agent_id":"i-test","process_name":"a"}'
            ),
        ),
        (
            {"events": [ROW], "expect": [{"process_name": "a"}] * 2},
            'expected and did not fire: {"agent_id":"i-test","process_name":"a"}',
        ),
        (
            {"events": [{**ROW, "process_name": name} for name in "abcde"]},
            (
                'fired and was not expected: {"agent_id":"i-test","process_name":"a"}, '
                '{"agent_id":"i-test","process_name":"b"}, '
                '{"agent_id":"i-test","process_name":"c"} '
                "and 2 more"
            ),
        ),
        ({"not_evaluated": True}, "the rule was evaluated, and should not have been"),
        (
            {"coverage": 0.4},
            (
                "the rule was not evaluated on i-test: connection was watched for only 40 % of the "
                "run, and at least 50 % is needed to call the host clean"
            ),
        ),
    ],
)
def test_mismatch_is_a_sentence(case: Plain, text: str) -> None:
    assert told(EVENT, **case) == text


def test_coverage_is_the_beginning_of_the_run() -> None:
    enough = {"events": [LISTENER], "expect": [{"local_port": 80}], "coverage": 0.95}

    assert told(ABSENCE, **enough) is None
    assert told(ABSENCE, **enough, duration="7s") is None
    assert told(ABSENCE, events=[LISTENER], coverage=0.949999, not_evaluated=True) is None


def test_expected_groups_are_cut_to_what_a_mutant_groups_by() -> None:
    expect = [
        {"process_name": "a", "remote_port": 23},
        {"process_name": "b", "remote_port": 23},
    ]
    read = rule(
        changed(EVENT, group_by=["process_name", "remote_port"]),
        tests=[{"name": "a", "events": [ROW, {**ROW, "process_name": "b"}], "expect": expect}],
    )
    stage = stages(read)[0]
    by_name = rule(changed(EVENT, group_by=["process_name"]))
    by_port = rule(changed(EVENT, group_by=["remote_port"]))

    assert mismatch(by_name, stage) is None
    assert mismatch(by_port, stage) == (
        'expected and did not fire: {"agent_id":"i-test","remote_port":23}'
    )
