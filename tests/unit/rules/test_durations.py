import pytest

from rules.durations import exact_duration, format_duration, parse_duration, smallest_step_us


@pytest.mark.parametrize(
    ("text", "duration_us"),
    [("0s", 0), ("1500ms", 1_500_000), ("10s", 10**7), ("5m", 3 * 10**8), ("1h", 3600 * 10**6)],
)
def test_duration_is_a_whole_number_and_a_unit(text: str, duration_us: int) -> None:
    assert parse_duration(text) == duration_us


@pytest.mark.parametrize(
    "text", ["", "5", "m", "-5m", "5 m", "05m", "5.5m", "5M", "5us", "5m\n", 5, None, True, ["5m"]]
)
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is no duration; write a whole number and ms, s, m, h"):
        parse_duration(text)


def test_duration_beyond_64_bits_is_too_long() -> None:
    with pytest.raises(ValueError, match="is too long a duration"):
        parse_duration("106751992d")


@pytest.mark.parametrize("text", ["250ms", "7s", "5m", "2h", "3d", "90s", "61m"])
def test_format_undoes_parse(text: str) -> None:
    assert format_duration(parse_duration(text)) == text


def test_no_time_at_all_is_zero_milliseconds() -> None:
    assert format_duration(0) == "0ms"


def test_largest_unit_that_divides_is_chosen() -> None:
    assert format_duration(parse_duration("120s")) == "2m"


def test_step_is_a_second_or_a_millisecond() -> None:
    assert smallest_step_us(parse_duration("5m")) == 1_000_000
    assert smallest_step_us(parse_duration("1500ms")) == 1_000


@pytest.mark.parametrize(
    ("duration_us", "text"),
    [
        (0, "0s"),
        (1, "0.001ms"),
        (250_000, "250ms"),
        (2_500_000, "2.5s"),
        (60_000_000, "1m"),
        (3_662_000_001, "1h 1m 2.000001s"),
        (2 * 86_400_000_000, "2d"),
        (-90_000_000, "-1m 30s"),
    ],
)
def test_measured_duration_is_exact(duration_us: int, text: str) -> None:
    assert exact_duration(duration_us) == text
