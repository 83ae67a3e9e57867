"""Counting events: a few additions each; names, labels and texts are made when somebody asks. Pure.

As Envoy does, the answer that the client gets is counted for its target, and the answers that others took the
place of are counted apart.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import assert_never

from llm_fallback.config.snapshot import Target, name_of
from llm_fallback.events import PER_TRY_TIMEOUT, Acted, Attempted, Ejected, Event, Handled, Returned
from llm_fallback.health import BY_HAND
from llm_fallback.local_replies import Flag
from llm_fallback.metrics.durations import Durations
from llm_fallback.metrics.usage import Usage
from llm_fallback.outlier import Endpoint, Reason
from llm_fallback.retry import Failure

UNKNOWN = "unknown"
"""Istio's word for a destination that is none."""

TARGET_COUNTERS = {
    "upstream_rq_total": "Attempts that had a connection.",
    "upstream_rq_retry": "Attempts after the first at the same target.",
    "upstream_rq_retry_limit_exceeded": "Requests not tried again because they had been often enough.",
    "upstream_rq_retry_overflow": "Requests not tried again because too many others were.",
    "upstream_rq_pending_overflow": "Attempts refused by the limits of the connection pool.",
    "upstream_rq_timeout": "Requests whose time was up.",
    "upstream_rq_per_try_timeout": "Attempts whose own time was up.",
    "upstream_cx_connect_fail": "Connections that could not be made.",
    "upstream_cx_connect_timeout": "Connections that were not made in time.",
    "upstream_cx_none_healthy": "Attempts for which no endpoint was in rotation.",
    "outlier_detection.ejections_enforced_total": "Ejections by outlier detection.",
    "outlier_detection.ejections_enforced_consecutive_5xx": "Ejections for 5xx in a row.",
    "outlier_detection.ejections_enforced_consecutive_gateway_failure": "Ejections for 502 to 504 in a row.",
    "outlier_detection.ejections_enforced_consecutive_local_origin_failure": (
        "Ejections for failures to connect, timeouts and resets in a row."
    ),
}
"""What Envoy counts of a cluster, by Envoy's names."""

ENDPOINT_COUNTERS = ("cx_connect_fail", "rq_error", "rq_success", "rq_timeout", "rq_total")
"""What Envoy counts of an endpoint, as far as events tell."""

_CONNECTED = ("upstream_rq_total",)
_OF_FAILURE: Mapping[str | None, tuple[str, ...]] = {
    Failure.CONNECT_FAILURE: ("upstream_cx_connect_fail",),
    Failure.CONNECT_TIMEOUT: ("upstream_cx_connect_fail", "upstream_cx_connect_timeout"),
    Failure.TIMEOUT_CONNECTING: (),
    Failure.OVERFLOW: ("upstream_rq_pending_overflow",),
    PER_TRY_TIMEOUT: ("upstream_rq_total", "upstream_rq_per_try_timeout"),
}
_NOT_THE_ENDPOINTS = frozenset({None, Failure.OVERFLOW, Failure.TIMEOUT_CONNECTING})
_OF_REASON = {
    Reason.CONSECUTIVE_5XX: "outlier_detection.ejections_enforced_consecutive_5xx",
    Reason.CONSECUTIVE_GATEWAY: "outlier_detection.ejections_enforced_consecutive_gateway_failure",
    Reason.CONSECUTIVE_LOCAL_ORIGIN: "outlier_detection.ejections_enforced_consecutive_local_origin_failure",
}
_MAX_ENDPOINTS = 1000  # of one target, whose addresses may change for ever


class Counts:
    """What is counted of one target: by name, and its answers by status."""

    __slots__ = ("codes", "endpoints", "hold_offs", "retried_codes", "stats", "target")

    def __init__(self, target: Target) -> None:
        self.target = target
        self.stats = dict.fromkeys(TARGET_COUNTERS, 0)
        self.hold_offs = 0
        self.codes: defaultdict[int, int] = defaultdict(int)
        self.retried_codes: defaultdict[int, int] = defaultdict(int)
        self.endpoints: dict[str, dict[str, int]] = {}

    def attempted(self, attempt: Attempted) -> None:
        """Count what came of an attempt, except its status."""
        if attempt.endpoint is None:
            self.stats["upstream_cx_none_healthy"] += 1
            return
        names = _OF_FAILURE.get(attempt.failure, _CONNECTED)
        for name in names:
            self.stats[name] += 1
        self._count_for(attempt.endpoint, attempt, is_connected="upstream_rq_total" in names)

    def _count_for(self, endpoint: str, attempt: Attempted, *, is_connected: bool) -> None:
        counts = self.endpoints.get(endpoint)
        if counts is None:
            if len(self.endpoints) >= _MAX_ENDPOINTS:
                del self.endpoints[next(iter(self.endpoints))]
            counts = self.endpoints[endpoint] = dict.fromkeys(ENDPOINT_COUNTERS, 0)
        counts["rq_total"] += is_connected
        if attempt.status is not None:
            counts["rq_error" if attempt.status >= 500 else "rq_success"] += 1
        elif attempt.failure not in _NOT_THE_ENDPOINTS:
            counts["rq_error"] += 1
            counts["cx_connect_fail"] += not is_connected
            counts["rq_timeout"] += attempt.failure in (Failure.TIMEOUT, PER_TRY_TIMEOUT)


class Metrics:
    """The counts since the start, for the targets that it has been told of.

    `targets` are by name. `requests` are the durations by destination host, status (None: the client left
    before there was one) and response flags; `fallbacks` count by the host that was chosen and the one that
    answered; `rescues` by what the first target was lost to, and what came of it; `usage` is tokens and time.
    """

    def __init__(self) -> None:
        self.targets: dict[str, Counts] = {}
        self.requests: dict[tuple[str, int | None, tuple[str, ...]], Durations] = {}
        self.fallbacks: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.rescues: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.usage = Usage()

    def adopt(self, targets: Iterable[Target]) -> None:
        """Count for these targets and no others; what is counted for those that stay is kept."""
        before, self.targets = self.targets, {}
        for target in targets:
            counts = self.targets[str(target)] = before.get(str(target)) or Counts(target)
            counts.target = target
        hosts = {counts.target.host for counts in self.targets.values()} | {UNKNOWN}
        for ended in [key for key in self.requests if key[0] not in hosts]:
            del self.requests[ended]
        for pair in [pair for pair in self.fallbacks if not hosts.issuperset(pair)]:
            del self.fallbacks[pair]
        self.usage.keep(hosts)

    def of_endpoint(self, target: Target, endpoint: Endpoint) -> Mapping[str, int]:
        """The ENDPOINT_COUNTERS of one endpoint."""
        counts = self.targets.get(str(target))
        known = counts.endpoints.get(str(endpoint)) if counts else None
        return known or dict.fromkeys(ENDPOINT_COUNTERS, 0)

    def take(self, event: Event) -> None:
        """Count what happened."""
        match event:
            case Handled():
                self._handled(event)
            case Ejected():
                self._ejected(event)
            case Returned() | Acted():
                pass
            case _:
                assert_never(event)

    def _handled(self, event: Handled) -> None:
        target = self.targets.get(event.target)
        host = self._host(event.target)
        key = host, event.status, event.flags
        durations = self.requests.get(key)
        if durations is None:
            durations = self.requests[key] = Durations()
        durations.add(event.duration_s * 1000)
        if event.attempts:
            self._count_attempts(event)
            if event.flags:
                self._count_flags(event)
            if target and event.status is not None:
                target.codes[event.status] += 1
        if event.instead_of is not None and (chosen := self.targets.get(event.instead_of)):
            self.fallbacks[chosen.target.host, host] += 1
        if event.rescue and event.rescue.reasons:
            # A reason is `host:port: word`, or only the word.
            lost_to = event.rescue.reasons[0].rpartition(": ")[2]
            self.rescues[lost_to, _result(event)] += 1
        self.usage.handled(event, host, self._host)

    def _host(self, target: str) -> str:
        counts = self.targets.get(target)
        return counts.target.host if counts else UNKNOWN

    def _count_attempts(self, event: Handled) -> None:
        previous = None
        answer = event.answered
        for attempt in event.attempts:
            if counts := self.targets.get(attempt.target):
                counts.attempted(attempt)
                if attempt.target == previous:
                    counts.stats["upstream_rq_retry"] += 1
                if attempt.status is not None and attempt is not answer:
                    counts.retried_codes[attempt.status] += 1
            previous = attempt.target

    def _count_flags(self, event: Handled) -> None:
        """What only the request's end tells."""
        last = event.attempts[-1]
        counts = self.targets.get(last.target)
        if counts is None:
            return
        if Flag.UPSTREAM_RETRY_LIMIT_EXCEEDED in event.flags:
            counts.stats["upstream_rq_retry_limit_exceeded"] += 1
        if Flag.UPSTREAM_OVERFLOW in event.flags and last.failure != Failure.OVERFLOW:
            counts.stats["upstream_rq_retry_overflow"] += 1
        if Flag.UPSTREAM_REQUEST_TIMEOUT in event.flags and last.failure != PER_TRY_TIMEOUT:
            counts.stats["upstream_rq_timeout"] += 1

    def _ejected(self, event: Ejected) -> None:
        counts = self.targets.get(name_of(event.key))
        if counts is None:
            return
        if event.reason in _OF_REASON:
            counts.stats["outlier_detection.ejections_enforced_total"] += 1
            counts.stats[_OF_REASON[Reason(event.reason)]] += 1
        elif event.reason != BY_HAND:
            counts.hold_offs += 1


def _result(event: Handled) -> str:
    if event.status is None:
        return "given up"
    return "saved" if event.status < 400 else "lost"
