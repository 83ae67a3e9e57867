"""Whether a failed attempt is tried again, and when (Envoy's router with Istio's policies). Pure."""

import random
from collections.abc import Callable, Collection
from enum import StrEnum

from llm_fallback.config.routes import Retries
from llm_fallback.outlier import GATEWAY_ERRORS

MAX_REPLAY_BYTES = 1024 * 1024
"""Envoy keeps a request body for retries up to its buffer limit; a larger one is sent once."""

_MAX_BACKOFF_FACTOR = 10
_ANY_RESET = frozenset({"5xx", "gateway-error", "reset"})
_ANY_CONNECT_FAILURE = _ANY_RESET | {"connect-failure", "reset-before-request"}
_RETRIABLE_4XX = frozenset({409})
_GRPC_CONDITIONS = {
    "1": "cancelled",
    "4": "deadline-exceeded",
    "8": "resource-exhausted",
    "13": "internal",
    "14": "unavailable",
}


class Failure(StrEnum):
    """How an attempt failed before response headers, by the words of Envoy's `retry_on` and local replies."""

    CONNECT_FAILURE = "connect-failure"
    CONNECT_TIMEOUT = "connect-timeout"
    RESET = "reset"
    PROTOCOL_ERROR = "protocol-error"
    TIMEOUT = "timeout"
    TIMEOUT_CONNECTING = "timeout while connecting"
    OVERFLOW = "overflow"


def retries_failure(policy: Retries, failure: Failure) -> bool:
    """Whether the policy covers an attempt without response headers.

    An overflow never is tried again, nor what only the time of the whole request can end.
    """
    match failure:
        case Failure.OVERFLOW | Failure.TIMEOUT_CONNECTING:
            return False
        case Failure.CONNECT_FAILURE | Failure.CONNECT_TIMEOUT:
            return not _ANY_CONNECT_FAILURE.isdisjoint(policy.retry_on)
        case Failure.RESET | Failure.PROTOCOL_ERROR | Failure.TIMEOUT:
            return not _ANY_RESET.isdisjoint(policy.retry_on)


def mean_status(words: Collection[str], status: int) -> bool:
    """Whether words of `retry_on` are about an answer with this status."""
    return (
        ("5xx" in words and 500 <= status <= 599)
        or ("gateway-error" in words and status in GATEWAY_ERRORS)
        or ("retriable-4xx" in words and status in _RETRIABLE_4XX)
    )


def retries_answer(policy: Retries, status: int, header: Callable[[str], str | None]) -> bool:
    """Whether the policy covers an answer with this status; `header` gives its headers by name."""
    words = policy.retry_on
    if header("x-envoy-ratelimited") is not None:
        return "envoy-ratelimited" in words
    return (
        mean_status(words, status)
        or status in policy.codes
        or _GRPC_CONDITIONS.get(header("grpc-status") or "") in words
    )


def try_timeout_s(policy: Retries, time_left_s: float | None) -> float | None:
    """Seconds that the next attempt may take, of those that are left for all; None: as long as it likes."""
    limits = (policy.per_try_timeout_s, time_left_s)
    return min((limit for limit in limits if limit is not None), default=None)


def backoff_s(policy: Retries, retry: int, rng: random.Random) -> float:
    """Seconds before retry number 1, 2, ...: fully jittered, doubling from the base, at most ten times it."""
    return rng.uniform(0, min(2**retry - 1, _MAX_BACKOFF_FACTOR) * policy.backoff_s)
