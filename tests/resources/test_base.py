"""Durations of the mesh's API."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.resources.base import parse_duration_ms, parse_limit_ms


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        pytest.param("1ms", 1, id="the-least"),
        pytest.param("100ms", 100, id="ms"),
        pytest.param("1s", 1_000, id="s"),
        pytest.param("1m", 60_000, id="m"),
        pytest.param("1h", 3_600_000, id="h"),
        pytest.param("1.5s", 1_500, id="decimal"),
        pytest.param("0.001s", 1, id="decimal-least"),
        pytest.param("1.001s", 1_001, id="without-an-exact-binary-form"),
        pytest.param(".5s", 500, id="no-digit-before-the-point"),
        pytest.param("1.s", 1_000, id="no-digit-after-it"),
        pytest.param("1h30m", 5_400_000, id="combined"),
        pytest.param("1h1m1s1ms", 3_661_001, id="all-units"),
        pytest.param("30m1h", 5_400_000, id="in-any-order"),
        pytest.param("+10s", 10_000, id="plus"),
        pytest.param("1000us", 1, id="us"),
        pytest.param("2000µs", 2, id="micro-sign"),
        pytest.param("3000000ns", 3, id="ns"),
        pytest.param("0h10s", 10_000, id="a-part-of-nothing"),
        pytest.param("8760h", 31_536_000_000, id="a-year"),
    ],
)
def test_durations(written: str, milliseconds: int) -> None:
    """Go's syntax, in whole milliseconds."""
    assert parse_duration_ms(written) == milliseconds


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="empty"),
        pytest.param("10", id="no-unit"),
        pytest.param("0", id="zero"),
        pytest.param("0s", id="zero-seconds"),
        pytest.param("s", id="no-number"),
        pytest.param(".s", id="only-a-point"),
        pytest.param("1d", id="days"),
        pytest.param("1w", id="weeks"),
        pytest.param("1S", id="capital-unit"),
        pytest.param("1sec", id="unit-written-out"),
        pytest.param("0.5ms", id="below-1ms"),
        pytest.param("100us", id="100us"),
        pytest.param("1.5ms", id="not-whole"),
        pytest.param("1s500us", id="not-whole-in-parts"),
        pytest.param("300h500us", id="not-whole-in-a-long-one"),
        pytest.param("-1s", id="negative"),
        pytest.param("++1s", id="two-signs"),
        pytest.param("1h+1s", id="sign-inside"),
        pytest.param(" 1s", id="space-before"),
        pytest.param("1s ", id="space-after"),
        pytest.param("1 s", id="space-inside"),
        pytest.param("1s\n", id="newline"),
        pytest.param("1,5s", id="comma"),
        pytest.param("1e3s", id="exponent"),
        pytest.param("0x1s", id="hexadecimal"),
        pytest.param("infs", id="infinity"),
        pytest.param("\uff11\uff10s", id="digits-of-another-script"),
        pytest.param("9" * 400 + "s", id="longer-than-a-float-holds"),
        pytest.param(10, id="number"),
        pytest.param(1.5, id="decimal"),
        pytest.param(None, id="nothing"),
        pytest.param(["1s"], id="list"),
    ],
)
def test_what_is_no_duration(written: object) -> None:
    """ValueError, with a hint after the semicolon, and no other exception."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration_ms(written)


@given(st.text("0123456789.+-hmsunµ e", max_size=12))
def test_no_text_raises_anything_else(written: str) -> None:
    """Either whole milliseconds, at least one, or a ValueError."""
    try:
        milliseconds = parse_duration_ms(written)
    except ValueError:
        return
    assert milliseconds >= 1


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(1, 999))
def test_parts_add_up(hours: int, minutes: int, seconds: int, milliseconds: int) -> None:
    """Whatever the parts."""
    total = ((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds

    assert parse_duration_ms(f"{hours}h{minutes}m{seconds}s{milliseconds}ms") == total
    assert parse_duration_ms(f"{total}ms") == total
    assert parse_duration_ms(f"{total // 1000}.{total % 1000:03}s") == total


@pytest.mark.parametrize(("written", "milliseconds"), [("0s", 0), ("0ms", 0), ("1ms", 1), ("1.5s", 1_500)])
def test_limits_may_be_switched_off(written: str, milliseconds: int) -> None:
    """By a duration of nothing."""
    assert parse_limit_ms(written) == milliseconds


@pytest.mark.parametrize("written", ["0", "0.5ms", "1.5ms", "", 0, None])
def test_what_is_no_limit(written: object) -> None:
    """What is no duration either."""
    with pytest.raises(ValueError, match="duration"):
        parse_limit_ms(written)
