from collections.abc import Mapping

from agent.coverage import SensorAccount, merge_coverage, read_own_memory
from agent.sensors.sensor import State, Watch
from rules.telemetry import Coverage

BOTH = frozenset({"connection", "listener"})


def watching(state: State, *kinds: str, method: str = "dumps") -> Watch:
    return Watch(kinds or ("connection", "listener"), state, method)


def cut(account: SensorAccount, *, kinds: frozenset[str] = BOTH) -> list[Coverage]:
    return account.cut(10, 20, kinds=kinds, rss_bytes=5)


def states(rows: list[Coverage]) -> list[tuple[tuple[str, ...], str, Mapping[str, int] | None]]:
    return [(row.kinds, row.state, row.lost) for row in rows]


def opened(state: State = "on") -> SensorAccount:
    account = SensorAccount("sock_diag")
    account.watch([watching(state)])
    return account


def test_row_covers_exactly_the_interval() -> None:
    account = opened()
    account.spend(0.0125)

    assert cut(account) == [
        Coverage(
            sensor="sock_diag",
            kinds=("connection", "listener"),
            from_us=10,
            to_us=20,
            state="on",
            method="dumps",
            cpu_ms=12,
            rss_bytes=5,
        )
    ]


def test_parts_of_a_millisecond_add_up() -> None:
    account = opened()
    spent: list[int | None] = []
    for _ in range(4):
        account.spend(0.0004)
        spent += [row.cpu_ms for row in cut(account)]

    assert spent == [0, 0, 1, 0]


def test_worst_state_of_the_interval_counts() -> None:
    account = opened()
    account.watch([watching("off", method="refused")])
    account.watch([watching("on")])

    assert [(row.state, row.method) for row in cut(account)] == [("off", "refused")]
    assert [(row.state, row.method) for row in cut(account)] == [("on", "dumps")]


def test_state_lasts_into_the_next_interval() -> None:
    account = opened()
    account.watch([watching("degraded")])
    cut(account)

    assert states(cut(account)) == [(("connection", "listener"), "degraded", None)]


def test_kinds_with_other_states_have_rows_of_their_own() -> None:
    account = SensorAccount("sock_diag")
    account.watch([watching("on", "listener"), watching("degraded", "connection")])
    account.spend(1)
    rows = cut(account)

    assert states(rows) == [(("connection",), "degraded", None), (("listener",), "on", None)]
    assert [row.cpu_ms for row in rows] == [1_000, 0]
    assert account.state == "degraded"


def test_losses_are_told_once_and_degrade_their_kind() -> None:
    account = opened()
    account.lose({("connection", "enobufs"): 3, ("tls_session", "backlog_full"): 9})

    assert states(cut(account)) == [
        (("connection",), "degraded", {"enobufs": 3}),
        (("listener",), "on", None),
    ]
    account.lose({("connection", "enobufs"): 5})
    assert states(cut(account))[0] == (("connection",), "degraded", {"enobufs": 2})
    assert states(cut(account)) == [(("connection", "listener"), "on", None)]


def test_only_wanted_kinds_are_told() -> None:
    assert [row.kinds for row in cut(opened(), kinds=frozenset({"listener"}))] == [("listener",)]
    assert cut(opened(), kinds=frozenset({"tls_session"})) == []


def test_start_before_the_first_interval_does_not_count() -> None:
    account = opened("off")
    account.watch([watching("on")])
    assert states(cut(account))[0][1] == "off"

    account = opened("off")
    account.watch([watching("on")])
    account.forget_start()
    assert states(cut(account))[0][1] == "on"


def test_failure_is_off_with_its_reason() -> None:
    account = opened()
    assert account.collecting == BOTH
    account.fail("failed: ValueError")

    assert [(row.state, row.method) for row in cut(account)] == [("off", "failed: ValueError")]
    assert (account.collecting, account.state) == (frozenset(), "off")


def test_account_without_any_watch_says_nothing() -> None:
    account = SensorAccount("probe")

    assert (cut(account), account.state) == ([], "off")


def row(
    from_us: int, to_us: int, *, sensor: str = "probe", state: str = "on", **facts: object
) -> Coverage:
    return Coverage(sensor, ("tls_session",), from_us, to_us, state, **facts)  # type: ignore[arg-type]


def test_rows_that_follow_each_other_are_merged() -> None:
    rows = [
        row(0, 10, cpu_ms=1, rss_bytes=7),
        row(0, 10, sensor="sock_diag"),
        row(10, 30, cpu_ms=2, rss_bytes=5),
        row(10, 30, sensor="sock_diag"),
    ]

    assert merge_coverage(rows) == [
        row(0, 30, cpu_ms=3, rss_bytes=7),
        row(0, 30, sensor="sock_diag", cpu_ms=0),
    ]


def test_rows_with_a_gap_another_state_or_losses_stay_apart() -> None:
    rows = [
        row(0, 10),
        row(11, 20),
        row(20, 30, state="degraded"),
        row(30, 40, lost={"enobufs": 1}),
        row(40, 50, lost={"enobufs": 1}),
    ]

    assert merge_coverage(rows) == rows


def test_own_memory_is_read() -> None:
    assert (read_own_memory() or 0) > 1_000_000
