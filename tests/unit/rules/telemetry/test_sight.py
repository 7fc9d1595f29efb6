import pytest

from rules.telemetry.kinds import KINDS
from rules.telemetry.sight import PARTIAL_SIGHT, Pinned, sees

INBOUND: Pinned = {"direction": frozenset({"inbound"})}


def test_partial_sight_names_columns_that_exist() -> None:
    for (_, kind), confined in PARTIAL_SIGHT.items():
        for name, values in confined.items():
            assert values <= set(KINDS[kind].columns[name].closed)


@pytest.mark.parametrize(
    ("pinned", "seen"),
    [
        (None, True),
        ({}, False),
        (INBOUND, True),
        ({**INBOUND, "tls_version": frozenset({"TLSv1.0"})}, True),
        ({"tls_version": frozenset({"TLSv1.0"})}, False),
        ({"direction": frozenset({"outbound"})}, False),
        ({"direction": frozenset({"inbound", "outbound"})}, False),
        ({"direction": frozenset()}, True),
    ],
)
def test_the_probe_sees_inbound_sessions_only(pinned: Pinned | None, *, seen: bool) -> None:
    assert sees("probe", "tls_session", pinned) is seen


def test_other_sensors_and_kinds_are_seen_whole() -> None:
    assert sees("packets", "tls_session", {})
    assert sees("probe", "listener", {})
