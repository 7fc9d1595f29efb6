import pytest

from agent.correlate.recent_connections import KEEP_US, MAX_OWNERS, Ends, RecentConnections
from rules.telemetry.event import Event, Process

ENDS: Ends = ("tcp", "10.0.0.1", 40_000, "192.0.2.7", 443)
CURL, WGET = Process(pid=7, name="curl"), Process(pid=8, name="wget")


def row(ts_us: int, state: str, process: Process | None = None, **values: object) -> Event:
    names = ("protocol", "local_address", "local_port", "remote_address", "remote_port")
    grade = "unknown" if process is None else "exact"
    columns = dict(zip(names, ENDS, strict=True))
    return Event(
        "connection", ts_us, process, {**columns, "state": state, "attribution": grade, **values}
    )


def pid_at(recent: RecentConnections, ts_us: int) -> int | None:
    owner = recent.find(ENDS, ts_us)
    return owner.process.pid if owner is not None and owner.process is not None else None


def test_owner_of_an_open_connection_is_found() -> None:
    recent = RecentConnections()
    recent.note(row(100, "opened", CURL))

    assert pid_at(recent, 150) == 7
    assert recent.find(("tcp", "10.0.0.1", 1, "192.0.2.7", 443), 150) is None


def test_end_brings_what_is_known_by_then() -> None:
    recent = RecentConnections()
    recent.note(row(100, "opened"))
    recent.note(row(200, "closed", CURL))

    owner = recent.find(ENDS, 150)
    assert owner is not None
    assert (owner.is_known, owner.attribution, owner.closed_us) == (True, "exact", 200)


@pytest.mark.parametrize(("ts_us", "pid"), [(90, 7), (150, 7), (240, 7), (260, 8), (900, 8)])
def test_of_several_the_nearest_in_time_is_found(ts_us: int, pid: int) -> None:
    recent = RecentConnections()
    for event in (row(100, "opened", CURL), row(200, "closed", CURL), row(300, "opened", WGET)):
        recent.note(event)

    assert pid_at(recent, ts_us) == pid


def test_connection_known_by_its_end_alone_began_before() -> None:
    recent = RecentConnections()
    recent.note(row(200, "closed", CURL, duration_us=50))

    owner = recent.find(ENDS, 150)
    assert owner is not None
    assert (owner.opened_us, owner.distance_us(140), owner.distance_us(170)) == (150, 10, 0)


def test_what_ended_long_ago_is_forgotten() -> None:
    recent = RecentConnections()
    for event in (row(100, "opened", CURL), row(200, "closed", CURL), row(300, "opened", WGET)):
        recent.note(event)
    recent.forget(201 + KEEP_US)
    assert pid_at(recent, 150) == 8
    recent.note(row(400, "closed", WGET))
    recent.forget(401 + KEEP_US)

    assert len(recent) == 0


def test_ends_are_bounded() -> None:
    recent = RecentConnections(max_open=1)
    recent.note(row(100, "opened", CURL))
    recent.note(row(100, "opened", WGET, local_port=1))

    assert len(recent) == 1
    assert recent.find(ENDS, 100) is None


def test_connections_between_the_same_ends_are_bounded() -> None:
    recent = RecentConnections()
    for moment in range(1, 20):
        recent.note(row(moment, "opened", CURL))
    assert pid_at(recent, 1) == 7
    for moment in range(20, 40):
        recent.note(row(moment, "closed", WGET, duration_us=1))

    owners = [recent.find(ENDS, ts_us) for ts_us in range(1, 40)]
    assert len({id(owner) for owner in owners}) <= 2 * MAX_OWNERS


def test_many_that_ended_are_bounded() -> None:
    recent = RecentConnections(max_ended=4)
    for port in range(100):
        recent.note(row(100 + port, "opened", CURL, local_port=port))
        recent.note(row(100 + port, "closed", CURL, local_port=port))

    assert len(recent) <= 4
    assert recent.find((*ENDS[:2], 99, *ENDS[3:]), 199) is not None


def test_row_without_a_peer_is_passed_over() -> None:
    recent = RecentConnections()
    event = row(100, "opened", CURL)
    del event.values["remote_port"]
    recent.note(event)

    assert len(recent) == 0
