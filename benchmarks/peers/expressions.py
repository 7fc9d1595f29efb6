"""Expression engines: rule-engine, ZEN and CEL, one expression per rule and row.

In: selectors. Out: text in three languages that look much alike, and loops that evaluate it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from benchmarks.peers.peer import STATELESS, Counts, PeerData, condition_columns
from rules.detection import EventDetection
from rules.telemetry.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rules.format import Rule
    from rules.selector import Condition, Conditions, Selector
    from rules.telemetry.batch import Row

    Test = Callable[[Row], bool]

_COMPARISONS: Final = {
    "in": "in",
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
}


@dataclass(frozen=True, slots=True)
class Language:
    """How an expression language spells what others spell otherwise."""

    both: str
    either: str
    no: str
    starts_with: str
    ends_with: str

    def selector(self, selector: Selector) -> str:
        """Return a selector as an expression; a null column holds null."""
        parts = [self._condition(condition) for condition in selector.where]
        if selector.any_of:
            parts.append(self._joined(self.either, map(self._all, selector.any_of)))
        parts += [f"{self.no}{self._all(group)}" for group in selector.none_of]
        return self.both.join(parts) or "true"

    def _all(self, conditions: Conditions) -> str:
        return self._joined(self.both, map(self._condition, conditions))

    def _condition(self, condition: Condition) -> str:
        column, wanted = condition.column, json.dumps(condition.value)
        if condition.operator in ("eq", "in"):
            return f"{column} {_COMPARISONS[condition.operator]} {wanted}"
        if condition.operator == "is_null":
            return f"{column} {'==' if condition.value else '!='} null"
        if condition.operator in ("starts_with", "ends_with"):
            test = str(getattr(self, condition.operator)).format(column, wanted)
        elif condition.operator == "not_in":
            test = f"{self.no}({column} in {wanted})"
        else:
            test = f"{column} {_COMPARISONS[condition.operator]} {wanted}"
        return f"({column} != null{self.both}{test})"

    def _joined(self, word: str, parts: Iterable[str]) -> str:
        return f"({word.join(parts)})"


class _PerRow:
    """Asks each rule of a kind about each of its rows."""

    def prepare(self, rules: Sequence[Rule]) -> None:
        """Compile every expression."""
        self._rules = rules
        self._tests: dict[str, list[tuple[int, Test, tuple[str, ...]]]] = defaultdict(list)
        self._asked: dict[str, dict[str, None]] = defaultdict(dict)
        for place, rule in enumerate(rules):
            detection = rule.detection
            if not isinstance(detection, EventDetection):
                raise TypeError(rule.id)
            select = detection.select
            names = ("agent_id", *detection.group_by)
            self._tests[select.telemetry].append((place, self.compile(select), names))
            self._asked[select.telemetry].update(dict.fromkeys(condition_columns(select)))

    def load(self, data: PeerData) -> None:
        """Hold rows with the columns that rules name; null is None."""
        self._rows: dict[str, list[tuple[Row, Any]]] = defaultdict(list)
        for row in data.rows():
            asked = self._asked.get(row["telemetry"])
            if asked is not None:
                values = {name: row.get(name) for name in asked}
                self._rows[row["telemetry"]].append((row, self.context(values)))

    def run(self) -> Counts:
        """Evaluate every expression on every row of its kind."""
        found: list[set[Any]] = [set() for _ in self._rules]
        for kind, tests in self._tests.items():
            for row, values in self._rows[kind]:
                for place, test, names in tests:
                    if test(values):
                        found[place].add(tuple(row.get(name) for name in names))
        return {rule.id: len(own) for rule, own in zip(self._rules, found, strict=True)}

    def compile(self, selector: Selector) -> Test:
        """Return what evaluates a selector on a row's values."""
        raise NotImplementedError

    def context(self, values: Row) -> Any:  # noqa: ANN401 (as the engine wants it)
        """Return a row's values as the engine wants them."""
        return values


class RuleEngine(_PerRow):
    """Pure Python expressions."""

    name: ClassVar[str] = "rule-engine"
    package: ClassVar[str | None] = "rule-engine"
    kinds: ClassVar[frozenset[str]] = STATELESS
    sample_events: ClassVar[int | None] = 5_000

    _LANGUAGE: ClassVar = Language(
        " and ", " or ", "not ", "{}.starts_with({})", "{}.ends_with({})"
    )

    def compile(self, selector: Selector) -> Test:
        """Return the rule's own matcher."""
        import rule_engine

        context = rule_engine.Context(resolver=rule_engine.resolve_item, default_value=None)
        rule: Any = rule_engine.Rule(self._LANGUAGE.selector(selector), context=context)
        test: Test = rule.matches
        return test


class ZenEngine(_PerRow):
    """Compiled expressions of a decision engine in Rust."""

    name: ClassVar[str] = "zen-engine"
    package: ClassVar[str | None] = "zen-engine"
    kinds: ClassVar[frozenset[str]] = STATELESS
    sample_events: ClassVar[int | None] = 50_000

    _LANGUAGE: ClassVar = Language(
        " and ", " or ", "not ", "startsWith({}, {})", "endsWith({}, {})"
    )

    def compile(self, selector: Selector) -> Test:
        """Return the expression's own evaluator."""
        import zen

        expression: Any = zen.compile_expression(self._LANGUAGE.selector(selector))
        test: Test = expression.evaluate
        return test


class Cel(_PerRow):
    """Google's CEL in C++; a row's activation is made once, before judging."""

    name: ClassVar[str] = "cel-expr-python"
    package: ClassVar[str | None] = "cel-expr-python"
    kinds: ClassVar[frozenset[str]] = STATELESS
    sample_events: ClassVar[int | None] = 50_000

    _LANGUAGE: ClassVar = Language(" && ", " || ", "!", "{}.startsWith({})", "{}.endsWith({})")

    def __init__(self) -> None:
        """Declare every column of every kind; any may be null."""
        from cel_expr_python import cel

        names = {name for kind in KINDS.values() for name in kind.columns} - {"type"}  # CEL's own
        self._env: Any = cel.NewEnv(variables=dict.fromkeys(names, cel.Type.DYN))

    def compile(self, selector: Selector) -> Test:
        """Return what evaluates the expression on an activation."""
        expression: Any = self._env.compile(self._LANGUAGE.selector(selector))
        evaluate = expression.eval

        def test(activation: Any) -> bool:  # noqa: ANN401
            return bool(evaluate(activation).value())

        return test

    def context(self, values: Row) -> Any:  # noqa: ANN401
        """Return an activation."""
        return self._env.Activation(values)
