import pytest

from analyzer.engine import FusedEngine, ReferenceEngine
from benchmarks.fleet.packs import make_rules
from benchmarks.fleet.shape import Shape
from benchmarks.fleet.store import Fleet, open_fleet
from benchmarks.peers.catalogue import PEERS, peer_version
from benchmarks.peers.peer import Counts, Peer, PeerData, outcome_counts
from rules.format import Rule

SHAPE = Shape(events=6_000, hosts=3, violating=40)
FEW = 10_000  # events that a slow peer takes a second for


@pytest.fixture(scope="module")
def rules() -> tuple[Rule, ...]:
    return make_rules(80)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return open_fleet(SHAPE, tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def expected(fleet: Fleet, rules: tuple[Rule, ...]) -> dict[int, Counts]:
    """Return what fires on one host and on all of them."""
    counts: dict[int, Counts] = {}
    for hosts in (1, SHAPE.hosts):
        engine = ReferenceEngine(rules)
        for piece in fleet.loaded(fleet.pieces(hosts=hosts)):
            engine.feed(piece)
        outcomes = engine.outcomes(fleet.ledger(), fleet.agents[:hosts])
        counts[hosts] = outcome_counts(rules, outcomes)
    return counts


def test_every_sort_of_rule_fires(expected: dict[int, Counts], rules: tuple[Rule, ...]) -> None:
    firing = {rule.detection.kind for rule in rules if expected[SHAPE.hosts][rule.id]}
    assert firing == {"event", "threshold", "absence", "sequence"}


def test_fused_engine_is_the_reference(
    fleet: Fleet, rules: tuple[Rule, ...], expected: dict[int, Counts]
) -> None:
    engine = FusedEngine(rules)
    for piece in fleet.loaded(fleet.pieces(max_events=500, order="time")):
        engine.feed(piece)
    outcomes = engine.outcomes(fleet.ledger(), fleet.agents)
    assert outcome_counts(rules, outcomes) == expected[SHAPE.hosts]


@pytest.mark.parametrize("peer_type", PEERS, ids=lambda peer: peer.name)
def test_peer_counts_what_the_reference_counts(
    peer_type: type[Peer],
    fleet: Fleet,
    rules: tuple[Rule, ...],
    expected: dict[int, Counts],
) -> None:
    if peer_version(peer_type) is None:
        pytest.skip(f"{peer_type.package} is not installed")
    own = [rule for rule in rules if rule.detection.kind in peer_type.kinds]
    hosts = 1 if (peer_type.sample_events or FEW) < FEW else SHAPE.hosts
    peer = peer_type()
    peer.prepare(own)
    peer.load(PeerData(fleet, hosts))
    assert peer.run() == {rule.id: expected[hosts][rule.id] for rule in own}
