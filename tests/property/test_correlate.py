"""Whatever the order of openings, ends and looks: each connection is told once, in two rows."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from agent.correlate import Correlator
from rules.telemetry import Event
from tests.socket_facts import CURL, closed, connections, end, row

STEPS = 12  # moments of a story
PEER_PORTS = 3  # few, so that the same ends come again


class Life(NamedTuple):
    """One connection: when it opens and ends, how late the end is told, who holds it."""

    opens: int
    ends: int
    told_late: int
    peer_port: int
    is_held: bool


lives = st.builds(
    lambda opens, lasts, late, port, held: Life(opens, opens + lasts, late, port, held),
    st.integers(0, STEPS),
    st.integers(0, STEPS),
    st.integers(0, 6),
    st.integers(1, PEER_PORTS),
    st.booleans(),
)


def play(story: Sequence[Life], polls: set[int]) -> dict[int, list[Event]]:
    """Return the events of each life; a look comes before the ends of its moment are told."""
    correlator = Correlator()
    correlator.add(connections(0))
    events: list[Event] = []
    for step in range(1, 3 * STEPS):
        if step in polls:
            open_rows = [
                row(ends_of(index), peer_of(life), cookie=index + 1, inode=index + 1)
                for index, life in enumerate(story)
                if life.opens < step <= life.ends
            ]
            owners = {index + 1: CURL for index, life in enumerate(story) if life.is_held}
            events += correlator.add(connections(step, *open_rows, owners=owners))
        told = [
            end(ends_of(index), peer_of(life), cookie=index + 1, sent=index)
            for index, life in enumerate(story)
            if max(life.ends, 1) + life.told_late == step
        ]
        events += correlator.add(closed(step + 0.5, *told))
    by_life: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        by_life[event.values["local_port"]].append(event)
    return by_life


def ends_of(index: int) -> tuple[str, int]:
    return ("192.0.2.1", 10_000 + index)


def peer_of(life: Life) -> tuple[str, int]:
    return ("198.51.100.7", life.peer_port)


@given(story=st.lists(lives, max_size=8), polls=st.sets(st.integers(1, 3 * STEPS)))
def test_every_connection_is_told_once_in_two_rows(story: list[Life], polls: set[int]) -> None:
    told = play(story, polls)

    assert len(told) == len(story)
    for index, life in enumerate(story):
        opened, last = told[10_000 + index]
        assert (opened.values["state"], last.values["state"]) == ("opened", "closed")
        assert opened.ts_us <= last.ts_us
        repeated = {"attribution": last.values["attribution"], "state": "closed"}
        assert opened.values | repeated == {
            name: value
            for name, value in last.values.items()
            if name not in {"bytes_sent", "duration_us"}
        }
        was_seen = any(life.opens < poll <= life.ends for poll in polls)
        assert (last.values["attribution"] == "polled") == (was_seen and life.is_held)
        assert ("duration_us" in last.values) == was_seen
