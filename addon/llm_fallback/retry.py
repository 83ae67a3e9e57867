"""Whether a failed attempt is tried again, and when (Envoy's router with Istio's default policy). Pure."""

import random
from dataclasses import dataclass
from enum import StrEnum

MAX_REPLAY_BYTES = 1024 * 1024
"""Envoy keeps a request body for retries up to its buffer limit; a larger one is sent once."""

_BASE_BACKOFF_S = 0.025
_MAX_BACKOFF_S = 0.250
_GRPC_CONDITIONS = {"1": "cancelled", "14": "unavailable"}


class Failure(StrEnum):
    """How an attempt failed before response headers, by the words of Envoy's `retry_on` and local replies."""

    CONNECT_FAILURE = "connect-failure"
    CONNECT_TIMEOUT = "connect-timeout"
    RESET = "reset"
    PROTOCOL_ERROR = "protocol-error"

    @property
    def condition(self) -> str:
        """The word under which a policy lists it; a connect timeout is a connect failure."""
        return Failure.CONNECT_FAILURE if self is Failure.CONNECT_TIMEOUT else self

    @property
    def is_after_connecting(self) -> bool:
        """Whether there was a connection, which outlier detection counts as a success of local origin."""
        return self in (Failure.RESET, Failure.PROTOCOL_ERROR)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Up to `attempts` retries on the conditions in `retry_on`."""

    attempts: int
    retry_on: frozenset[str]


DEFAULT_POLICY = RetryPolicy(2, frozenset({"connect-failure", "refused-stream", "unavailable", "cancelled"}))
"""Istio's retries for routes that say nothing about them (since 1.24: no longer on 503 answers)."""


def may_retry(policy: RetryPolicy, condition: str | None, *, retries_done: int, body_size: int) -> bool:
    """Whether another attempt follows one that ended in the condition."""
    return condition in policy.retry_on and retries_done < policy.attempts and body_size <= MAX_REPLAY_BYTES


def grpc_condition(grpc_status: str | None) -> str | None:
    """The retry condition that a `grpc-status` among response headers stands for."""
    return _GRPC_CONDITIONS.get(grpc_status or "")


def backoff_s(retry: int, rng: random.Random) -> float:
    """Seconds before retry number 1, 2, ...: fully jittered, doubling from 25 ms, at most 250 ms."""
    return rng.uniform(0, min((2**retry - 1) * _BASE_BACKOFF_S, _MAX_BACKOFF_S))
