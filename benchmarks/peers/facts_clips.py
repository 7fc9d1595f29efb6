"""CLIPS: a production system; rows become facts, rules become productions."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, ClassVar, Final

from benchmarks.peers.peer import STATELESS, Counts, PeerData, needed_columns
from rules.detection import EventDetection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.format import Rule
    from rules.selector import Condition, Conditions, Selector

_COMPARISONS: Final = {"eq": "eq", "ne": "neq", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_FACTS: Final = 1_000  # asserted before the engine runs and forgets them


class Clips:
    """One production per rule over one template per kind; nil is null."""

    name: ClassVar[str] = "clipspy"
    package: ClassVar[str | None] = "clipspy"
    kinds: ClassVar[frozenset[str]] = STATELESS
    sample_events: ClassVar[int | None] = 50_000

    def prepare(self, rules: Sequence[Rule]) -> None:
        """Build templates and productions."""
        import clips

        self._engine: Any = clips.Environment()
        self._rules = rules
        self._columns = needed_columns(rules)
        self._found: dict[str, set[Any]] = defaultdict(set)
        self._engine.define_function(self._fire, name="fire")
        for kind, columns in self._columns.items():
            slots = " ".join(f"(slot {column})" for column in columns)
            self._engine.build(f"(deftemplate {kind} {slots})")
        for rule in rules:
            self._engine.build(_production(rule))

    def load(self, data: PeerData) -> None:
        """Hold rows as slot values."""
        import clips

        symbols = {
            None: clips.Symbol("nil"),
            True: clips.Symbol("TRUE"),
            False: clips.Symbol("FALSE"),
        }
        self._facts: list[tuple[str, dict[str, Any]]] = []
        for row in data.rows():
            kind = row["telemetry"]
            if kind in self._columns:
                values = {name: row.get(name) for name in self._columns[kind]}
                self._facts.append(
                    (kind, {name: _slot(value, symbols) for name, value in values.items()})
                )

    def run(self) -> Counts:
        """Assert facts and run, many rows at a time."""
        templates = {kind: self._engine.find_template(kind) for kind in self._columns}
        self._found.clear()
        for start in range(0, len(self._facts), _FACTS):
            for kind, values in self._facts[start : start + _FACTS]:
                templates[kind].assert_fact(**values)
            self._engine.run()
            self._engine.reset()
        return {rule.id: len(self._found[rule.id]) for rule in self._rules}

    def _fire(self, rule_id: str, *group: object) -> None:
        self._found[rule_id].add(tuple(map(str, group)))


def _slot(value: Any, symbols: dict[Any, Any]) -> Any:  # noqa: ANN401 (a column's value)
    return symbols[value] if value is None or isinstance(value, bool) else value


def _production(rule: Rule) -> str:
    detection = rule.detection
    if not isinstance(detection, EventDetection):
        raise TypeError(rule.id)
    select = detection.select
    names = list(dict.fromkeys(("agent_id", *detection.group_by, *_asked(select))))
    slots = " ".join(f"({name} ?{name}{_slot_test(select, name)})" for name in names)
    tests = "".join(
        f" (test {test})"
        for test in (*_either(select), *(f"(not {_all(g)})" for g in select.none_of))
    )
    group = " ".join(f"?{name}" for name in ("agent_id", *detection.group_by))
    return f'(defrule {rule.id} ({select.telemetry} {slots}){tests} => (fire "{rule.id}" {group}))'


def _asked(selector: Selector) -> list[str]:
    groups = (selector.where, *selector.any_of, *selector.none_of)
    return [condition.column for group in groups for condition in group]


def _slot_test(selector: Selector, column: str) -> str:
    """Return what ``where`` asks of a column, inside the pattern: the network indexes it."""
    own = [condition for condition in selector.where if condition.column == column]
    return "".join(f"&:{_condition(condition)}" for condition in own)


def _either(selector: Selector) -> list[str]:
    if not selector.any_of:
        return []
    return [f"(or {' '.join(_all(group) for group in selector.any_of)} FALSE)"]


def _all(conditions: Conditions) -> str:
    return f"(and {' '.join(map(_condition, conditions))} TRUE)"


def _condition(condition: Condition) -> str:
    column, value = f"?{condition.column}", condition.value
    if condition.operator == "is_null":
        return f"({'eq' if value else 'neq'} {column} nil)"
    if condition.operator == "in":
        return _equals_one(column, value)
    if condition.operator == "not_in":
        test = f"(not {_equals_one(column, value)})"
    elif condition.operator == "starts_with":
        test = f"(eq (sub-string 1 {len(str(value))} {column}) {_literal(value)})"
    elif condition.operator == "ends_with":
        last = f"(str-length {column})"
        first = f"(- {last} {len(str(value)) - 1})"
        test = f"(eq (sub-string {first} {last} {column}) {_literal(value)})"
    else:
        test = f"({_COMPARISONS[condition.operator]} {column} {_literal(value)})"
    return f"(and (neq {column} nil) {test})"


def _equals_one(column: str, values: Any) -> str:  # noqa: ANN401 (a tuple of values)
    return f"(or {' '.join(f'(eq {column} {_literal(value)})' for value in values)} FALSE)"


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
