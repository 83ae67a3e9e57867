"""Istio's default retries."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.retry import (
    DEFAULT_POLICY,
    MAX_REPLAY_BYTES,
    Failure,
    RetryPolicy,
    backoff_s,
    grpc_condition,
    may_retry,
)


def test_the_default_policy() -> None:
    """Two retries; neither on 5xx answers nor on resets after the request was sent."""
    expected = RetryPolicy(2, frozenset({"connect-failure", "refused-stream", "unavailable", "cancelled"}))

    assert expected == DEFAULT_POLICY


@pytest.mark.parametrize(
    ("condition", "retried"),
    [
        pytest.param(Failure.CONNECT_FAILURE.condition, True, id="refused-or-tls"),
        pytest.param(Failure.CONNECT_TIMEOUT.condition, True, id="connect-timeout"),
        pytest.param(Failure.RESET.condition, False, id="reset-before-headers"),
        pytest.param(Failure.PROTOCOL_ERROR.condition, False, id="garbage"),
        pytest.param("refused-stream", True, id="refused-stream"),
        pytest.param("unavailable", True, id="grpc-unavailable"),
        pytest.param("cancelled", True, id="grpc-cancelled"),
        pytest.param("5xx", False, id="5xx"),
        pytest.param("retriable-4xx", False, id="409"),
        pytest.param(None, False, id="an-answer"),
    ],
)
def test_conditions_of_the_default_policy(condition: str | None, *, retried: bool) -> None:
    """What is tried again by routes that say nothing about retries."""
    assert may_retry(DEFAULT_POLICY, condition, retries_done=0, body_size=0) is retried


@pytest.mark.parametrize(
    ("attempts", "retries_done", "retried"),
    [
        pytest.param(2, 0, True, id="first"),
        pytest.param(2, 1, True, id="second"),
        pytest.param(2, 2, False, id="no-third"),
        pytest.param(0, 0, False, id="none-at-all"),
    ],
)
def test_number_of_retries(attempts: int, retries_done: int, *, retried: bool) -> None:
    """`attempts` counts the retries, not the first try."""
    policy = RetryPolicy(attempts, frozenset({"connect-failure"}))

    assert may_retry(policy, "connect-failure", retries_done=retries_done, body_size=0) is retried


@pytest.mark.parametrize(
    ("size", "retried"),
    [
        pytest.param(1_000_000, True, id="as-measured-on-envoy"),
        pytest.param(MAX_REPLAY_BYTES, True, id="exactly-1-MiB"),
        pytest.param(MAX_REPLAY_BYTES + 1, False, id="one-byte-more"),
        pytest.param(1_100_000, False, id="too-large-as-measured"),
    ],
)
def test_a_body_above_the_buffer_is_sent_once(size: int, *, retried: bool) -> None:
    """Envoy could not replay it."""
    assert may_retry(DEFAULT_POLICY, "connect-failure", retries_done=0, body_size=size) is retried


@pytest.mark.parametrize(
    ("status", "condition"),
    [
        pytest.param("1", "cancelled", id="cancelled"),
        pytest.param("14", "unavailable", id="unavailable"),
        pytest.param("0", None, id="ok"),
        pytest.param("4", None, id="deadline-exceeded-is-not-in-the-default"),
        pytest.param("", None, id="empty"),
        pytest.param("x", None, id="garbage"),
        pytest.param(None, None, id="no-grpc"),
    ],
)
def test_grpc_condition(status: str | None, condition: str | None) -> None:
    """The words of `retry_on` for a gRPC status."""
    assert grpc_condition(status) == condition


@given(st.integers(1, 60), st.randoms(use_true_random=False))
def test_backoff_bounds(retry: int, rng: random.Random) -> None:
    """Between 0 and (2^N - 1) x 25 ms, never above 250 ms."""
    assert 0 <= backoff_s(retry, rng) <= min((2**retry - 1) * 0.025, 0.250)


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
    """The upper bound is reached, not merely kept."""
    assert backoff_s(retry, Most()) == pytest.approx(longest_s)
