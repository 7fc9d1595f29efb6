"""One generated Python function per telemetry kind: the quickest that plain Python does.

Each looks a row's columns up once and asks one ``if`` per rule.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.peers.peer import STATELESS, Counts, PeerData, condition_columns
from benchmarks.peers.python_source import selector_source
from rules.detection import EventDetection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.format import Rule
    from rules.telemetry.batch import Row

    Found = list[set[Any]]


class PythonFunction:
    """Functions made from the rules."""

    name: ClassVar[str] = "generated Python function"
    package: ClassVar[str | None] = None
    kinds: ClassVar[frozenset[str]] = STATELESS
    sample_events: ClassVar[int | None] = 1_000_000

    def prepare(self, rules: Sequence[Rule]) -> None:
        """Write and compile the functions."""
        self._rules = rules
        places: dict[str, list[int]] = defaultdict(list)
        for place, rule in enumerate(rules):
            places[rule.telemetry[0]].append(place)
        self._functions = {
            kind: _function([(place, rules[place]) for place in own])
            for kind, own in places.items()
        }

    def load(self, data: PeerData) -> None:
        """Hold rows as dictionaries, by kind."""
        self._rows: dict[str, list[Row]] = defaultdict(list)
        for row in data.rows():
            self._rows[row["telemetry"]].append(row)

    def run(self) -> Counts:
        """Call each function with the rows of its kind."""
        found: Found = [set() for _ in self._rules]
        for kind, function in self._functions.items():
            function(self._rows[kind], found)
        return {rule.id: len(own) for rule, own in zip(self._rules, found, strict=True)}


def _function(rules: list[tuple[int, Rule]]) -> Any:  # noqa: ANN401 (made at run time)
    columns: dict[str, None] = {}
    tests: list[str] = []
    for place, rule in rules:
        detection = rule.detection
        if not isinstance(detection, EventDetection):
            raise TypeError(rule.id)
        columns.update(dict.fromkeys(condition_columns(detection.select)))
        group = ", ".join(f"get({name!r})" for name in ("agent_id", *detection.group_by))
        tests.append(f"        if {selector_source(detection.select, _local)}:")
        tests.append(f"            found[{place}].add(({group},))")
    lines = [
        "def judge(rows, found):",
        "    for row in rows:",
        "        get = row.get",
        *(f"        {_local(column)} = get({column!r})" for column in columns),
        *tests,
    ]
    space: dict[str, Any] = {}
    exec("\n".join(lines), space)  # noqa: S102 (rules of this repository, written two lines above)
    return space["judge"]


def _local(column: str) -> str:
    return f"v_{column}"
