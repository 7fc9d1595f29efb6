"""The tests inside the shipped rules, judged by SQL."""

import pytest

from rules.cases import DEFAULT_AGENT
from rules.format import Rule
from rules.loader import load_packages
from tests.duck import by_reference, by_sql, load

RULES = {rule.id: rule for package in load_packages() for rule in package.rules}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_sql_passes_the_tests_of_a_shipped_rule(rule: Rule) -> None:
    for case in rule.tests:
        rows = [row for event in case.events for row in event.rows()]
        load(rows)
        found = by_sql(rule)

        assert found == by_reference(rule, rows), case.name
        if not case.not_evaluated:  # what was watched is no question to SQL
            keys = [
                (agent_id, *group[: len(rule.group_by)])
                for agent_id, groups in found.items()
                for group in groups
            ]
            expected = [
                (each.get("agent_id", DEFAULT_AGENT), *map(each.get, rule.group_by))
                for each in case.expect
            ]
            assert sorted(keys, key=repr) == sorted(expected, key=repr), case.name
