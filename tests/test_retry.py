"""What is tried again, by the words and codes of a policy, and after how long."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.config.routes import DEFAULT_RETRIES, Retries
from llm_fallback.resources.httpactions import RETRY_CONDITIONS
from llm_fallback.retry import Failure, backoff_s, retries_answer, retries_failure


def on(*words: str, codes: tuple[int, ...] = ()) -> Retries:
    return Retries(2, frozenset(words), frozenset(codes))


def no_headers(_name: str) -> None:
    return None


def test_the_default_policy() -> None:
    """Two retries; neither on 5xx answers nor on resets after the request was sent."""
    expected = Retries(2, frozenset({"connect-failure", "refused-stream", "unavailable", "cancelled"}))

    assert expected == DEFAULT_RETRIES
    assert retries_failure(DEFAULT_RETRIES, Failure.CONNECT_FAILURE)
    assert not retries_failure(DEFAULT_RETRIES, Failure.RESET)
    assert not retries_answer(DEFAULT_RETRIES, 503, no_headers)


CONNECT = {Failure.CONNECT_FAILURE, Failure.CONNECT_TIMEOUT}
LATER = {Failure.RESET, Failure.PROTOCOL_ERROR, Failure.TIMEOUT}
FAILURES_BY_WORD = {
    "5xx": CONNECT | LATER,
    "gateway-error": CONNECT | LATER,
    "reset": CONNECT | LATER,
    "connect-failure": CONNECT,
    "reset-before-request": CONNECT,
}


@pytest.mark.parametrize("word", sorted(RETRY_CONDITIONS))
@pytest.mark.parametrize("failure", list(Failure))
def test_failures_by_word(word: str, failure: Failure) -> None:
    """No answer at all: any failure, those of connecting, or none; an overflow never."""
    assert retries_failure(on(word), failure) is (failure in FAILURES_BY_WORD.get(word, set()))


@pytest.mark.parametrize("failure", [Failure.OVERFLOW, Failure.TIMEOUT_CONNECTING])
def test_failures_that_are_never_tried_again(failure: Failure) -> None:
    """Too many requests already, or no time left."""
    assert not retries_failure(on(*RETRY_CONDITIONS, codes=(503, 504)), failure)


def test_codes_are_for_answers() -> None:
    """A failure that the client sees as 503 or 504 is none with that code."""
    assert not any(retries_failure(on(codes=(502, 503, 504)), failure) for failure in Failure)


STATUSES = (200, 302, 400, 404, 409, 429, 499, 500, 501, 502, 503, 504, 505, 529, 599, 600)
STATUSES_BY_WORD = {
    "5xx": {500, 501, 502, 503, 504, 505, 529, 599},
    "gateway-error": {502, 503, 504},
    "retriable-4xx": {409},
}


@pytest.mark.parametrize("word", sorted(RETRY_CONDITIONS))
def test_answers_by_word(word: str) -> None:
    """The statuses that each word of `retryOn` covers; most of them none."""
    covered = {status for status in STATUSES if retries_answer(on(word), status, no_headers)}

    assert covered == STATUSES_BY_WORD.get(word, set())


def test_answers_by_code() -> None:
    """Numbers in `retryOn` cover exactly these, beside the words."""
    policy = on("gateway-error", codes=(429, 500))

    assert {status for status in STATUSES if retries_answer(policy, status, no_headers)} == {
        429, 500, 502, 503, 504,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "retried"),
    [
        pytest.param(on("envoy-ratelimited"), True, id="its-own-word"),
        pytest.param(on("5xx"), False, id="5xx"),
        pytest.param(on("gateway-error"), False, id="gateway-error"),
        pytest.param(on(codes=(503,)), False, id="its-code"),
    ],
)
def test_answers_of_a_rate_limiter(policy: Retries, *, retried: bool) -> None:
    """What bears `x-envoy-ratelimited` is tried again for `envoy-ratelimited` only."""
    assert retries_answer(policy, 503, {"x-envoy-ratelimited": "true"}.get) is retried


def test_rate_limited_is_about_the_header() -> None:
    """The status says nothing."""
    assert not retries_answer(on("envoy-ratelimited"), 429, no_headers)
    assert retries_answer(on("envoy-ratelimited"), 200, {"x-envoy-ratelimited": "true"}.get)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        pytest.param("1", "cancelled", id="cancelled"),
        pytest.param("4", "deadline-exceeded", id="deadline-exceeded"),
        pytest.param("8", "resource-exhausted", id="resource-exhausted"),
        pytest.param("13", "internal", id="internal"),
        pytest.param("14", "unavailable", id="unavailable"),
        pytest.param("0", None, id="ok"),
        pytest.param("2", None, id="unknown"),
        pytest.param("", None, id="empty"),
        pytest.param("x", None, id="garbage"),
    ],
)
def test_grpc_statuses(status: str, word: str | None) -> None:
    """Each word covers its own status in the response headers, and no word any other."""
    covering = {
        word for word in RETRY_CONDITIONS if retries_answer(on(word), 200, {"grpc-status": status}.get)
    }

    assert covering == ({word} if word else set())


@given(st.integers(1, 60), st.floats(0.001, 60), st.randoms(use_true_random=False))
def test_backoff_bounds(retry: int, base_s: float, rng: random.Random) -> None:
    """Between 0 and (2^N - 1) times the base, never above ten times it."""
    policy = Retries(2, frozenset(), backoff_s=base_s)

    assert 0 <= backoff_s(policy, retry, rng) <= min(2**retry - 1, 10) * base_s


class Most(random.Random):
    """Draws the upper end."""

    def random(self) -> float:
        return 1.0


@pytest.mark.parametrize(
    ("retry", "longest_s"),
    [
        pytest.param(1, 0.025, id="1"),
        pytest.param(2, 0.075, id="2"),
        pytest.param(3, 0.175, id="3"),
        pytest.param(4, 0.250, id="4-is-capped"),
        pytest.param(40, 0.250, id="40-too"),
    ],
)
def test_the_longest_backoff(retry: int, longest_s: float) -> None:
    """The upper bound is reached, not merely kept; a policy may have another base."""
    assert backoff_s(DEFAULT_RETRIES, retry, Most()) == pytest.approx(longest_s)
    slower = Retries(2, frozenset(), backoff_s=0.1)
    assert backoff_s(slower, retry, Most()) == pytest.approx(4 * longest_s)
