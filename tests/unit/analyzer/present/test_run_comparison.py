import msgspec

from analyzer.present.run_comparison import difference_lines, fate_line
from analyzer.results.comparison import Judgement, RunComparison, compare_runs
from tests.judging import package, rule
from tests.recordings import judged


def comparison(**changes: object) -> RunComparison:
    known = [rule()]
    judgement = Judgement(judged([], rules=[package(*known)]), known)
    return msgspec.structs.replace(compare_runs(judgement, judgement), **changes)


def test_runs_that_differ_in_themselves_are_told_apart() -> None:
    plain = comparison()
    assert difference_lines(plain) == []
    longer = msgspec.structs.replace(plain.after, to_us=plain.after.from_us + 90_000_000)
    many = tuple(f"h{number}" for number in range(7))
    assert difference_lines(comparison(after=longer, hosts_gone=many, hosts_added=("x\x1b",))) == [
        "The earlier run lasted 0 seconds, the later one 90 seconds.",
        "Hosts of the earlier run alone: h0, h1, h2, h3 and 3 more.",
        "Hosts of the later run alone: x\\x1b.",
    ]


def test_what_cannot_be_compared_is_counted_where_there_is_any() -> None:
    assert fate_line(comparison()) == ("0 findings before, 0 now: 0 new, 0 persisting, 0 resolved.")
    summary = comparison().summary
    unknown = {**summary, "not_comparable": {**summary["new"], "Low": 2}}
    assert fate_line(comparison(summary=unknown)).endswith("0 resolved, 2 not comparable.")
