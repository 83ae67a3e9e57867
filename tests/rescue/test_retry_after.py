"""How long a provider asks to wait, in every form."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.rescue.retry_after import wait_s

NOW = 1_800_000_000.0
LATER = datetime.fromtimestamp(NOW + 20, UTC)


def wait(**headers: str) -> float | None:
    """The wait for these headers; underscores stand for dashes."""
    return wait_s({name.replace("_", "-"): value for name, value in headers.items()}.get, wall_time=NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("20", 20.0, id="seconds"),
        pytest.param("0.5", 0.5, id="fraction"),
        pytest.param("0", 0.0, id="zero"),
        pytest.param(format_datetime(LATER, usegmt=True), 20.0, id="date"),
        pytest.param(LATER.isoformat(), 20.0, id="iso-date"),
        pytest.param("2027-01-15T08:00:20Z", 20.0, id="iso-date-with-z"),
        pytest.param("Fri, 15 Jan 2027 08:00:20 -0000", 20.0, id="date-without-zone"),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", 0.0, id="past"),
        pytest.param(str(int(NOW) + 20), 20.0, id="moment"),
        pytest.param(str(int(NOW + 20) * 1000), 20.0, id="moment-in-milliseconds"),
        pytest.param("20s", 20.0, id="with-unit"),
        pytest.param("1m30s", 90.0, id="units"),
        pytest.param(" 20 ", 20.0, id="spaces"),
        pytest.param("-1", None, id="negative"),
        pytest.param("1" * 20_000, None, id="endless-digits"),  # to look into them takes seconds
        pytest.param("nan", None, id="no-number"),
        pytest.param("inf", None, id="infinite"),
        pytest.param("soon", None, id="word"),
        pytest.param("", None, id="empty"),
        pytest.param("1m?", None, id="half-a-duration"),
        pytest.param("0001-01-01T00:00:00+23:59", 0.0, id="before-time"),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    """What cannot be understood asks for nothing."""
    found = wait(retry_after=value)

    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"retry_after_ms": "1500", "retry_after": "9"}, 1.5, id="milliseconds-first"),
        pytest.param({"retry_after_ms": "x", "retry_after": "9"}, 9.0, id="bad-milliseconds"),
        pytest.param(
            {"retry_after": "9", "x_ratelimit_reset": "50", "x_ratelimit_remaining": "0"}, 9.0, id="or-resets"
        ),
        pytest.param(
            {"retry_after": "?", "x_ratelimit_reset": "50", "x_ratelimit_remaining": "0"}, 50.0, id="or-not"
        ),
        pytest.param(
            {"x_ratelimit_reset_requests": "6m0s", "x_ratelimit_remaining_requests": "0"}, 360.0, id="openai"
        ),
        pytest.param(
            {
                "x_ratelimit_reset_requests": "120ms", "x_ratelimit_remaining_requests": "0",
                "x_ratelimit_reset_tokens": "7s", "x_ratelimit_remaining_tokens": "0",
            },
            7.0,
            id="the-longer-one",
        ),
        pytest.param(
            {
                "anthropic_ratelimit_requests_reset": "2027-01-15T08:00:30Z",
                "anthropic_ratelimit_requests_remaining": "0",
            },
            30.0,
            id="anthropic",
        ),
        pytest.param({"x_ratelimit_reset": str(int(NOW + 9) * 1000), "x_ratelimit_remaining": "0"}, 9.0,
                     id="openrouter"),
        pytest.param({"x_ratelimit_reset": "50", "x_ratelimit_remaining": "3"}, None, id="not-used-up"),
        pytest.param({"x_ratelimit_reset": "50"}, None, id="nothing-said-of-what-is-left"),
        pytest.param({}, None, id="nothing"),
    ],
)  # fmt: skip
def test_other_headers(headers: dict[str, str], seconds: float | None) -> None:
    """The plainest word counts; limits that are not used up keep nobody waiting."""
    assert wait(**headers) == seconds


@given(st.text(max_size=40))
def test_any_text(value: str) -> None:
    """Is read or is not; nothing is raised, and nothing negative asked for."""
    found = wait(retry_after=value, retry_after_ms=value)

    assert found is None or 0.0 <= found < float("inf")
