"""Which failures a policy rescues, and in which order targets are asked. Pure."""

import random
from collections.abc import Iterator, Sequence

from llm_fallback.config.rescue import Link, RescuePolicy
from llm_fallback.outlier import Outcome, OutlierPolicy
from llm_fallback.rescue.gate import Verdict
from llm_fallback.retry import Failure, mean_status

NO_HEADERS = "response-timeout"
NO_BEGINNING = "first-token-timeout"
"""The policy's word for an answer whose first token does not come."""

_NO_ANSWER = frozenset({"reset", "gateway-error", "5xx"})  # Envoy's: who gives no answer at all is meant, too
_NOT_CONNECTED = _NO_ANSWER | {"connect-failure"}
_WORDS = {
    Failure.CONNECT_FAILURE: _NOT_CONNECTED,
    Failure.CONNECT_TIMEOUT: _NOT_CONNECTED,
    Failure.TIMEOUT_CONNECTING: _NOT_CONNECTED,
    Failure.OVERFLOW: _NOT_CONNECTED,
    Failure.RESET: _NO_ANSWER,
    Failure.PROTOCOL_ERROR: _NO_ANSWER,
    Failure.TIMEOUT: _NO_ANSWER | {NO_HEADERS},
}


def covers_failure(policy: RescuePolicy, failure: Failure) -> bool:
    """Whether an attempt without response headers is rescued."""
    return not _WORDS[failure].isdisjoint(policy.failures)


def covers_status(policy: RescuePolicy, status: int) -> bool:
    """Whether an answer with this status is a failure to be rescued."""
    return status in policy.codes or mean_status(policy.failures, status)


def proved_by(status: int, policy: RescuePolicy, detection: OutlierPolicy | None) -> Outcome:
    """What an error status proves of its endpoint: one that the policy covers is a failure, 429 for instance.

    Where the mesh itself lists the statuses that are failures to the detector, its list is what counts.
    """
    lists = detection is not None and detection.error_codes is not None
    return Outcome(500) if status < 500 and covers_status(policy, status) and not lists else Outcome(status)


def proved_by_no_answer(detection: OutlierPolicy | None) -> Outcome:
    """What a 200 proves that is no answer: a failure, whichever statuses the mesh lists."""
    codes = detection.error_codes if detection else None
    return Outcome(min(codes) if codes else 500)


def ignored_verdicts(policy: RescuePolicy) -> frozenset[Verdict]:
    """What the policy lets through although something is wrong with it."""
    return frozenset(v for v in Verdict if v not in policy.failures) - {Verdict.PENDING, Verdict.GOOD}


def in_order(chain: Sequence[Link], rng: random.Random) -> Iterator[Link]:
    """The links one after another; neighbours with weights in an order drawn by weight."""
    group: list[Link] = []
    for link in chain:
        if link.weight is None:
            yield from _drawn(group, rng)
            group = []
            yield link
        else:
            group.append(link)
    yield from _drawn(group, rng)


def _drawn(group: list[Link], rng: random.Random) -> Iterator[Link]:
    left = list(group)
    while left:
        (link,) = rng.choices(left, [link.weight or 0 for link in left])
        left.remove(link)
        yield link
