from dataclasses import replace

import pytest

from analyzer.ingest.accept import MAX_REJECTED, MAX_SKEW_US, MAX_STREAMS, Acceptor, RunWindow
from rules.telemetry import Header

NOW = 1_000_000_000
RUNS = {"r1": RunWindow(frozenset({"i-1"}), from_us=NOW - 60_000_000, to_us=NOW + 60_000_000)}
HEADER = Header("i-1", "boot", "main", 1, NOW - 2_000_000, NOW, runs=("r1",))


def decide(acceptor: Acceptor, header: Header, topic: str = "i-1") -> object:
    decision = acceptor.decide(topic, header, runs=RUNS, now_us=NOW)
    return decision.reason or ("duplicate" if decision.is_duplicate else decision.runs)


def test_batch_of_an_active_run_is_accepted_and_acknowledged_once_durable() -> None:
    acceptor = Acceptor()
    assert decide(acceptor, HEADER) == ("r1",)
    assert acceptor.acknowledgement("i-1")["acks"] == [
        {"boot_id": "boot", "stream": "main", "high": 0, "ranges": []}
    ]
    acceptor.stored(HEADER)
    acceptor.stored(replace(HEADER, sequence=3))
    assert acceptor.acknowledgement("i-1")["acks"] == [
        {"boot_id": "boot", "stream": "main", "high": 1, "ranges": [(3, 3)]}
    ]
    assert acceptor.missing("i-1") == 1


def test_batch_that_comes_again_is_a_duplicate_pending_or_durable() -> None:
    acceptor = Acceptor()
    decide(acceptor, HEADER)
    assert decide(acceptor, HEADER) == "duplicate"
    acceptor.stored(HEADER)
    assert decide(acceptor, HEADER) == "duplicate"
    assert acceptor.counts == {"accepted": 1, "duplicate": 2}


def test_batch_that_could_not_be_stored_may_come_again() -> None:
    acceptor = Acceptor()
    decide(acceptor, HEADER)
    acceptor.forget(HEADER)
    assert decide(acceptor, HEADER) == ("r1",)
    assert acceptor.counts["accepted"] == 1


def test_batches_of_two_incarnations_do_not_collide() -> None:
    acceptor = Acceptor()
    decide(acceptor, HEADER)
    assert decide(acceptor, replace(HEADER, boot_id="other")) == ("r1",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"runs": ()}, "unknown_run"),
        ({"runs": ("r2",)}, "unknown_run"),
        ({"to_us": HEADER.from_us - 1}, "interval"),
        ({"to_us": NOW + MAX_SKEW_US + 1}, "skew"),
        ({"from_us": NOW - 400_000_000, "to_us": NOW - 300_000_000}, "outside_run"),
        ({"from_us": NOW + 200_000_000, "to_us": NOW + 210_000_000}, "outside_run"),
    ],
)
def test_batch_is_refused_with_a_reason(change: dict[str, object], reason: str) -> None:
    acceptor = Acceptor()
    header = replace(HEADER, **change)  # type: ignore[arg-type]
    assert decide(acceptor, header) == reason
    assert acceptor.counts == {reason: 1}
    told = [{"boot_id": "boot", "stream": "main", "sequence": 1, "reason": reason}]
    assert acceptor.acknowledgement("i-1")["rejected"] == told
    assert acceptor.acknowledgement("i-1")["rejected"] == []


def test_batch_under_a_foreign_name_is_refused_and_acknowledged_to_nobody() -> None:
    acceptor = Acceptor()
    assert decide(acceptor, HEADER, topic="i-2") == "identity"
    assert acceptor.acknowledgement("i-2")["rejected"] == []
    assert acceptor.acknowledgement("i-1")["rejected"] == []


def test_batch_of_an_agent_outside_the_run_is_refused() -> None:
    acceptor = Acceptor()
    assert decide(acceptor, replace(HEADER, agent_id="i-9"), topic="i-9") == "unknown_run"


def test_run_without_an_interval_yet_takes_every_batch() -> None:
    acceptor = Acceptor()
    runs = {"r1": RunWindow(frozenset({"i-1"}))}
    old = replace(HEADER, from_us=0, to_us=1)
    assert acceptor.decide("i-1", old, runs=runs, now_us=NOW).runs == ("r1",)


def test_agent_with_endless_incarnations_is_bounded() -> None:
    acceptor = Acceptor()
    for number in range(MAX_STREAMS):
        decide(acceptor, replace(HEADER, boot_id=f"b{number}"))
    assert decide(acceptor, replace(HEADER, boot_id="one-more")) == "streams"


def test_refusals_kept_for_an_agent_are_bounded() -> None:
    acceptor = Acceptor()
    for number in range(MAX_REJECTED + 5):
        decide(acceptor, replace(HEADER, sequence=number + 1, runs=()))
    rejected = acceptor.acknowledgement("i-1")["rejected"]
    assert isinstance(rejected, list)
    assert len(rejected) == MAX_REJECTED
