from rules.telemetry.batch import Coverage
from rules.telemetry.ledger import Intervals, Ledger
from rules.watched import Sight, Watched, watched
from tests.rule_documents import ABSENCE, EVENT, SEQUENCE, Plain, changed, rule

RUN_US = 1_000_000
INBOUND_TLS: Plain = {
    "kind": "event",
    "select": {"telemetry": "tls_session", "where": {"direction": "inbound"}},
}
ANY_TLS: Plain = {"kind": "event", "select": {"telemetry": "tls_session"}}


def seen(detection: Plain, ledger: Ledger) -> Watched:
    return watched(rule(detection).detection, "i-1", ledger)


def coverage(
    *kinds: str,
    to_us: int = RUN_US,
    state: str = "on",
    sensor: str = "sock_diag",
    method: str = "",
    lost: dict[str, int] | None = None,
) -> Coverage:
    return Coverage(sensor, kinds, 0, to_us, state, method, lost=lost)


def ledger_of(*rows: Coverage, kinds: tuple[str, ...] | None = None) -> Ledger:
    ledger = Ledger(0, RUN_US)
    ledger.add_host("i-1", watched=Intervals([(0, RUN_US)]), kinds=kinds)
    for row in rows:
        ledger.add_coverage("i-1", row)
    return ledger


def test_whole_run_is_full_coverage() -> None:
    assert seen(EVENT, ledger_of()) == Watched(1.0)


def test_half_of_the_run_is_enough_to_be_clean() -> None:
    assert seen(EVENT, ledger_of(coverage("connection", to_us=500_000))) == Watched(0.5)


def test_less_than_half_says_how_much_and_what_is_needed() -> None:
    assert seen(EVENT, ledger_of(coverage("connection", to_us=499_999))) == Watched(
        0.499999,
        "connection was watched for only 49.9 % of the run, and at least 50 % is needed to call "
        "the host clean",
    )


def test_kind_that_no_header_names_was_not_collected() -> None:
    assert seen(EVENT, ledger_of(kinds=("listener",))) == Watched(
        0.0, "connection was not collected on this host"
    )


def test_sensor_that_was_off_is_named_with_its_reason() -> None:
    ledger = ledger_of(coverage("connection", state="off", method="no netlink"))

    assert seen(EVENT, ledger) == Watched(
        0.0, "connection was not collected on this host: sock_diag off (no netlink)"
    )


def test_absence_needs_time_without_loss() -> None:
    ledger = ledger_of(
        coverage("connection", state="degraded", method="polling"), coverage("listener")
    )

    assert seen(ABSENCE, ledger) == Watched(
        0.0,
        "connection was watched without loss for only 0 % of the run, and this rule needs 95 % "
        "(min_coverage) to say that something was absent: sock_diag degraded (polling)",
    )
    assert seen(EVENT, ledger) == Watched(1.0)


def test_losses_are_named_as_a_cause() -> None:
    ledger = ledger_of(coverage("connection", "listener", lost={"enobufs": 12}))

    reason = seen(changed(ABSENCE, min_coverage=1.0), ledger).reason

    assert reason is not None
    assert reason.endswith("12 events lost (enobufs)")
    assert reason.count("; ") == 1


def test_smaller_share_of_two_kinds_counts() -> None:
    ledger = ledger_of(
        coverage("connection", to_us=970_000), coverage("imds_request", to_us=960_000)
    )

    assert seen(SEQUENCE, ledger).coverage == 0.96
    ledger = ledger_of(coverage("connection"), coverage("listener", to_us=950_000))
    assert seen(ABSENCE, ledger) == Watched(0.95)


def test_same_reason_of_two_selectors_is_told_once() -> None:
    detection = changed(SEQUENCE, first={"telemetry": "connection"})

    assert seen(detection, ledger_of(kinds=("listener",))) == Watched(
        0.0, "connection was not collected on this host"
    )


def test_sensor_counts_only_where_it_sees_what_the_rule_asks_for() -> None:
    ledger = ledger_of(coverage("tls_session", sensor="probe"))

    assert seen(INBOUND_TLS, ledger) == Watched(1.0)
    assert seen(ANY_TLS, ledger) == Watched(
        0.0,
        "no sensor of this host can see the tls_session rows that this rule asks for (probe sees "
        "only rows where direction is inbound)",
    )


def share(detection: Plain, ledger: Ledger, window: tuple[int, int]) -> float:
    return Sight(rule(detection).detection, "i-1", ledger).share(window)


def test_share_of_a_window_is_the_smaller_of_two_kinds() -> None:
    ledger = ledger_of(coverage("connection", to_us=600), coverage("listener"))

    assert share(EVENT, ledger, (500, 700)) == 0.5
    assert share(EVENT, ledger, (0, 600)) == 1
    assert share(ABSENCE, ledger, (500, 700)) == 0.5


def test_window_of_absence_needs_time_without_loss() -> None:
    ledger = ledger_of(coverage("connection", "listener", state="degraded"))

    assert share(EVENT, ledger, (0, 10)) == 1
    assert share(ABSENCE, ledger, (0, 10)) == 0


def test_moment_is_watched_or_not() -> None:
    ledger = ledger_of(coverage("connection", to_us=600))

    assert [share(EVENT, ledger, (at, at)) for at in (599, 600)] == [1, 0]


def test_window_is_judged_by_its_part_inside_of_the_run() -> None:
    ledger = ledger_of(coverage("connection"))

    assert share(EVENT, ledger, (-500, 500)) == 1
    assert share(EVENT, ledger, (RUN_US - 5, RUN_US + 500)) == 1
    assert share(EVENT, ledger, (RUN_US, RUN_US)) == 1  # the last event may be the end of the run
