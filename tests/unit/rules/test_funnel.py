from rules.funnel import Funnel, Step, funnel
from rules.selector import parse_selector
from rules.telemetry.batch import Row


def row(**columns: object) -> Row:
    return {"telemetry": "connection", "ts_us": 1, "agent_id": "i-1", **columns}


def steps(plain: dict[str, object], *rows: Row) -> Funnel:
    selector = parse_selector({"telemetry": "connection", **plain})
    return funnel("select", selector, {"connection": rows})


def test_conditions_are_asked_one_after_the_other() -> None:
    counted = steps(
        {
            "where": {"protocol": "tcp", "remote_port": {"ge": 20, "le": 30}},
            "any_of": [{"direction": "outbound", "uid": 0}, {"pid": 7}],
            "none_of": [{"remote_scope": "loopback"}, {"uid": 5}],
        },
        row(protocol="udp", remote_port=23, pid=7),
        row(protocol="tcp", remote_port=10, pid=7),
        row(protocol="tcp", remote_port=31, pid=7),
        row(protocol="tcp", remote_port=23, direction="outbound"),
        row(protocol="tcp", remote_port=23, pid=7, remote_scope="loopback"),
        row(protocol="tcp", remote_port=23, pid=7, uid=5),
        row(protocol="tcp", remote_port=23, pid=7),
    )

    assert (counted.role, counted.telemetry, counted.rows) == ("select", "connection", 7)
    assert counted.steps == (
        Step("protocol is tcp", 6),
        Step("remote_port is at least 20", 5),
        Step("remote_port is at most 30", 4),
        Step("(direction is outbound and uid is 0) or (pid is 7)", 3),
        Step("not (remote_scope is loopback)", 2),
        Step("not (uid is 5)", 1),
    )
    assert counted.selected == 1


def test_condition_that_leaves_nothing_says_what_was_there() -> None:
    counted = steps(
        {"where": {"remote_port": 23, "protocol": "tcp"}},
        *(row(remote_port=port) for port in (22, 22, 25, 26, 27, 28, 24)),
        row(),
        row(),
    )

    assert counted.steps == (
        Step("remote_port is 23", 0, ((22, 2), (None, 2), (24, 1), (25, 1), (26, 1))),
        Step("protocol is tcp", 0),
    )


def test_groups_that_leave_nothing_name_no_column() -> None:
    assert steps({"none_of": [{"uid": 5}]}, row(uid=5)).steps == (Step("not (uid is 5)", 0),)


def test_selector_of_every_row_has_no_steps() -> None:
    assert steps({}, row(), row()).selected == 2
    assert funnel("unless", parse_selector({"telemetry": "listener"}), {}).selected == 0
