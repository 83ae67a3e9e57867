"""Cross-origin requests."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.config.routes import Cors, MatchType, StringMatch
from llm_fallback.cors import preflight, response_headers
from llm_fallback.headers import Headers
from llm_fallback.matching import RequestFacts


def exact(value: str) -> StringMatch:
    return StringMatch(MatchType.EXACT, value)


def facts(
    origin: str | None = "https://a.com", *, method: str = "OPTIONS", asks_for: str | None = "POST"
) -> RequestFacts:
    headers = [("Origin", origin), ("Access-Control-Request-Method", asks_for)]
    asked = ("Access-Control-Request-Headers", "x-a")
    present = tuple((name, value) for name, value in headers if value is not None)
    return RequestFacts(method, "http", "b.com", "/", "", (*present, asked), 80)


A = (exact("https://a.com"),)
ORIGIN = ("access-control-allow-origin", "https://a.com")
CREDENTIALS = ("access-control-allow-credentials", "true")


@pytest.mark.parametrize(
    ("cors", "expected"),
    [
        pytest.param(Cors(A), {ORIGIN}, id="origin"),
        pytest.param(
            Cors(A, ("GET", "POST"), ("x-a", "x-b"), ("x-c", "x-d"), 600, credentials=True),
            {
                ORIGIN,
                CREDENTIALS,
                ("access-control-allow-methods", "GET,POST"),
                ("access-control-allow-headers", "x-a,x-b"),
                ("access-control-expose-headers", "x-c,x-d"),
                ("access-control-max-age", "600"),
            },
            id="all",
        ),
        pytest.param(
            Cors(A, ("*",), ("*",), max_age_s=0, credentials=False),
            {
                ORIGIN,
                ("access-control-allow-methods", "POST"),
                ("access-control-allow-headers", "x-a"),
                ("access-control-max-age", "0"),
            },
            id="any-is-what-was-asked-for",
        ),
        pytest.param(Cors((exact("*"),)), {ORIGIN}, id="any-origin"),
        pytest.param(Cors((exact("x"), *A)), {ORIGIN}, id="one-of-several-origins"),
        pytest.param(
            Cors((StringMatch(MatchType.REGEX, "https://.*", pattern=re2.compile("https://.*")),)),
            {ORIGIN},
            id="regex",
        ),
        pytest.param(Cors((StringMatch(MatchType.PREFIX, "https://"),)), {ORIGIN}, id="prefix"),
    ],
)
def test_preflight(cors: Cors, expected: set[tuple[str, str]]) -> None:
    answer = preflight(cors, facts())

    assert answer is not None
    assert sorted(answer) == sorted(expected)


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(facts(method="POST"), id="not-options"),
        pytest.param(facts(None), id="no-origin"),
        pytest.param(facts(""), id="empty-origin"),
        pytest.param(facts(asks_for=None), id="no-method-asked-for"),
        pytest.param(facts(asks_for=""), id="empty-method-asked-for"),
    ],
)
@pytest.mark.parametrize("forward", [True, False])
def test_what_is_no_preflight_goes_on(asked: RequestFacts, *, forward: bool) -> None:
    assert preflight(Cors(A, forward_unmatched_preflights=forward), asked) is None


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        pytest.param(True, None, id="forward"),
        pytest.param(False, (CREDENTIALS, ("access-control-allow-methods", "GET")), id="ignore"),
    ],
)
def test_a_preflight_of_another_origin(*, forward: bool, expected: Headers | None) -> None:
    """Sent on, or answered without a word about the origin."""
    cors = Cors(A, ("GET",), expose=("x-c",), credentials=True, forward_unmatched_preflights=forward)

    assert preflight(cors, facts("https://b.com")) == expected


@pytest.mark.parametrize(
    ("cors", "asked", "expected"),
    [
        pytest.param(Cors(A), facts(method="GET"), (("a", "1"), ORIGIN), id="origin"),
        pytest.param(
            Cors(A, expose=("x-c", "x-d"), credentials=True),
            facts(method="GET"),
            (("a", "1"), ORIGIN, CREDENTIALS, ("access-control-expose-headers", "x-c,x-d")),
            id="all",
        ),
        pytest.param(
            Cors(A, credentials=True),
            facts("https://b.com", method="GET"),
            (("a", "1"), ("Access-Control-Allow-Origin", "*")),
            id="another-origin-gets-the-upstreams-answer",
        ),
        pytest.param(
            Cors(A), facts(None), (("a", "1"), ("Access-Control-Allow-Origin", "*")), id="not-cross-origin"
        ),
    ],
)
def test_response_headers(cors: Cors, asked: RequestFacts, expected: Headers) -> None:
    """What the upstream says is overwritten."""
    headers = (("a", "1"), ("Access-Control-Allow-Origin", "*"))

    assert response_headers(cors, asked, headers) == expected


@given(
    origin=st.text(st.characters(codec="ascii", exclude_characters="\r\n\0"), max_size=8),
    forward=st.booleans(),
)
def test_only_allowed_origins_are_told_so(origin: str, *, forward: bool) -> None:
    """In an answer to whatever kind of request; and as they wrote themselves."""
    cors = Cors((StringMatch(MatchType.PREFIX, "a"),), forward_unmatched_preflights=forward)
    expected = origin if origin.startswith("a") else None

    answer = preflight(cors, facts(origin)) or ()

    assert dict(answer).get("access-control-allow-origin") == expected
    assert dict(response_headers(cors, facts(origin), ())).get("access-control-allow-origin") == expected
