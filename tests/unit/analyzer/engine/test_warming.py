from analyzer.engine.warming import warm_up
from rules.loader import load_packages


def test_every_shipped_rule_fires_while_the_engine_warms_up() -> None:
    rules = [rule for package in load_packages() for rule in package.rules]
    fired = {outcome.rule_id for outcome in warm_up(rules) if outcome.groups}
    assert fired == {rule.id for rule in rules}


def test_no_rules_need_no_warming() -> None:
    assert warm_up([]) == []
