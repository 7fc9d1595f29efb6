from analyzer.present.opinions import show_opinions
from analyzer.replay.second_opinion import Difference, Numbers, Opinions, Place
from tests.judging import EVENT, rule
from tests.terminals import Screen

NUMBERS = Numbers(3, 1, 9, 1, 9, None)


def shown(opinions: Opinions) -> Screen:
    screen = Screen()
    show_opinions(screen.open(), opinions)
    return screen


def test_agreement_is_one_sentence() -> None:
    screen = shown(Opinions(pairs=6, unclaimed=0, groups=1, differences=()))

    assert screen.lines == ["Engine and SQL agree: 6 pairs of rule and host, 1 group."]
    assert screen.messages == []


def test_difference_is_shown_from_both_sides() -> None:
    place = Place("i-1", ("curl", None, 23))
    alone = {**EVENT, "group_by": []}
    screen = shown(
        Opinions(
            pairs=6,
            unclaimed=2,
            groups=4,
            differences=(
                Difference(rule("used"), place, NUMBERS, None),
                Difference(rule("any", alone, summary="any"), Place("i-2", ()), None, NUMBERS),
            ),
        )
    )

    said = "count 3, first_seen_us 1, last_seen_us 9, window_from_us 1, window_to_us 9"
    assert screen.lines == [
        "used on i-1: process_name=curl, remote_address=null, remote_port=23",
        f"  engine: {said}",
        "  SQL:    does not fire",
        "any on i-2",
        "  engine: does not fire",
        f"  SQL:    {said}",
        "Engine and SQL differ in 2 groups (6 pairs of rule and host, 4 agree).",
    ]
    assert screen.messages == ["Not compared: 2 pairs of absence on hosts not watched enough."]
