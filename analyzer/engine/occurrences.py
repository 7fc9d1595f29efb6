"""Occurrences: rules that fire for every row that they select.

In: selected rows. Out: a group per key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.engine.tally import Tally

if TYPE_CHECKING:
    from analyzer.engine.keys import Keys
    from analyzer.engine.operations import Operations
    from analyzer.engine.snapshot import State
    from analyzer.engine.survivors import Found
    from analyzer.engine.tally import Fired, Hosts
    from analyzer.telemetry.dictionary import Dictionary


class Occurrences:
    """One event rule on every host."""

    def __init__(self, keys: Keys, operations: Operations) -> None:
        """Count rows by ``keys``."""
        self._tally = Tally(keys, operations)

    def collect(self, found: Found) -> None:
        """Take rows."""
        self._tally.add(found.hosts, found.rows)

    def groups(self, place: int, hosts: Hosts, max_groups: int | None) -> Fired:
        """Return the findings on some hosts."""
        del place
        return self._tally.results(self._tally.of_hosts(hosts), hosts, max_groups)

    def touched(self) -> list[tuple[int, int]]:
        """Return on which hosts more counts since the last call."""
        return [(0, host) for host in self._tally.touched()]

    def state(self) -> State:
        """Return what it holds."""
        return {"tally": self._tally.state()}

    def load(self, state: State, dictionary: Dictionary) -> None:
        """Hold what a state says."""
        self._tally.load(state["tally"], dictionary)
