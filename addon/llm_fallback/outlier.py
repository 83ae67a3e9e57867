"""Envoy's outlier detection for the endpoints of one host: who is ejected, and until when.

Each endpoint counts its failures in a row: all 5xx, gateway errors (502, 503, 504), and, when they are
split off, failures of local origin (connecting, timing out, resets). There is no time window. A counter
that *equals* its threshold triggers an ejection at once, and only that counter starts again from 0, even
when the percentage forbids the ejection.

    ejection time = min(base x multiplier, max)      multiplier: +1 per ejection, -1 per sweep survived

The end of an ejection is noticed by the sweep, which ticks every `interval` from the detector's creation:
base 10 s and interval 1 s make 10 to 11 s. A return clears all counters; there is no half-open state.
The first sweep that can lower the multiplier is the first one a whole interval after the return.

The sweeps that passed since the last call are computed, not waited for: `advance` costs nothing while
nobody is ejected, however long that was.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from llm_fallback.addresses import with_port

GATEWAY_ERRORS = frozenset({502, 503, 504})
"""What Envoy calls so."""

_ROUNDING = 1e-9  # of an interval: binary fractions must not move a tick
_DEFAULT_MAX_EJECTION_S = 300.0


class Endpoint(NamedTuple):
    """One address behind a host."""

    address: str
    port: int

    def __str__(self) -> str:
        return with_port(self.address, self.port)


class Reason(StrEnum):
    """Which failures in a row ejected an endpoint."""

    CONSECUTIVE_5XX = "consecutive 5xx"
    CONSECUTIVE_GATEWAY = "consecutive gateway errors"
    CONSECUTIVE_LOCAL_ORIGIN = "consecutive local origin failures"


@dataclass(frozen=True, slots=True)
class OutlierPolicy:
    """When to eject and for how long: Istio's OutlierDetection as it reaches Envoy. Threshold 0 is off."""

    consecutive_5xx: int = 5
    consecutive_gateway: int = 0
    split_local_origin: bool = False
    consecutive_local_origin: int = 5
    interval_s: float = 10.0
    base_ejection_s: float = 30.0
    max_ejection_percent: int = 10
    error_codes: frozenset[int] | None = None
    """The statuses that are failures, in place of all 5xx (Istio's outlierDetectionHttpErrorCodes)."""

    @property
    def max_ejection_s(self) -> float:
        """Envoy's `max_ejection_time`, which Istio cannot set: 300 s, or the base if that is more."""
        return max(_DEFAULT_MAX_EJECTION_S, self.base_ejection_s)

    def threshold(self, reason: Reason) -> int:
        """How many failures in a row eject."""
        match reason:
            case Reason.CONSECUTIVE_5XX:
                return self.consecutive_5xx
            case Reason.CONSECUTIVE_GATEWAY:
                return self.consecutive_gateway
            case Reason.CONSECUTIVE_LOCAL_ORIGIN:
                return self.consecutive_local_origin


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt proved: an HTTP status, or a local-origin result by the status it stands for.

    Connect failures and resets stand for 503, timeouts for 504. `Outcome(200, local_origin=True)` is an
    established connection, which matters only when local origin is split off.
    """

    status: int
    local_origin: bool = False

    @property
    def is_failure(self) -> bool:
        """Whether it counts against the endpoint."""
        return 500 <= self.status <= 599


@dataclass(frozen=True, slots=True)
class Ejection:
    """An ejection that just began."""

    endpoint: Endpoint
    reason: Reason
    duration_s: float
    multiplier: int


@dataclass(frozen=True, slots=True)
class Return:
    """An ejection that ended."""

    endpoint: Endpoint
    duration_s: float


@dataclass(slots=True)
class HostMonitor:
    """State of one endpoint from when it is first seen until it leaves (Envoy's DetectorHostMonitor).

    An attempt holds that of its endpoint as it began. `multiplier` is as of `returned_at`; decay since then
    is computed.
    """

    in_a_row: dict[Reason, int] = field(default_factory=lambda: dict.fromkeys(Reason, 0))
    multiplier: int = 0
    ejected_for: Reason | None = None
    ejected_at: float | None = None
    returns_at: float = math.inf
    returned_at: float = -math.inf

    def reset(self, *reasons: Reason) -> None:
        """Begin to count anew."""
        for reason in reasons:
            self.in_a_row[reason] = 0


@dataclass(frozen=True, slots=True)
class State:
    """What a detector knows of an endpoint: `ejected_for` and its times are None while it is in rotation.

    `multiplier` stretches the present ejection, or the next one but for one more; `in_a_row` are failures.
    """

    ejected_for: Reason | None
    ejected_at: float | None
    returns_at: float | None
    multiplier: int
    in_a_row: Mapping[Reason, int]


class Detector:
    """Outlier detection over the endpoints of one host; `now` is in seconds of one monotonic clock."""

    def __init__(self, policy: OutlierPolicy, *, created_at: float) -> None:
        self.policy = policy
        self._created_at = created_at
        self._monitors: dict[Endpoint, HostMonitor] = {}
        self._ejected: set[Endpoint] = set()

    def keep_only(self, endpoints: Collection[Endpoint]) -> None:
        """Forget endpoints that are gone: one that comes back later starts afresh, as in Envoy."""
        for endpoint in self._monitors.keys() - set(endpoints):
            del self._monitors[endpoint]
            self._ejected.discard(endpoint)

    def is_ejected(self, endpoint: Endpoint) -> bool:
        """Whether the endpoint is out of rotation, as of the last `advance`."""
        return endpoint in self._ejected

    def since(self) -> Iterator[tuple[Endpoint, float]]:
        """Who is ejected, and since when."""
        return ((endpoint, self._monitors[endpoint].ejected_at or 0.0) for endpoint in self._ejected)

    def returns_at(self, endpoint: Endpoint) -> float | None:
        """When the endpoint comes back; None if it is in rotation."""
        return self._monitors[endpoint].returns_at if endpoint in self._ejected else None

    def state(self, endpoint: Endpoint, *, now: float) -> State:
        """All of it, as of the last `advance`."""
        host = self._monitors.get(endpoint, HostMonitor())
        return State(
            host.ejected_for,
            host.ejected_at,
            self.returns_at(endpoint),
            self.multiplier(endpoint, now=now),
            MappingProxyType(dict(host.in_a_row)),
        )

    @property
    def next_return(self) -> float | None:
        """When the next ejected endpoint comes back; None while nobody is ejected."""
        return min((self._monitors[endpoint].returns_at for endpoint in self._ejected), default=None)

    def multiplier(self, endpoint: Endpoint, *, now: float) -> int:
        """By how much the endpoint's last ejection was, or its present one is, stretched; decays to 0."""
        host = self._monitors.get(endpoint)
        if host is None or endpoint in self._ejected:
            return host.multiplier if host else 0
        if not host.multiplier:
            return 0
        first = self._tick_from(host.returned_at + self.policy.interval_s)
        survived = math.floor((now - self._created_at) / self.policy.interval_s + _ROUNDING) - first + 1
        return max(0, host.multiplier - max(0, survived))

    def monitor(self, endpoint: Endpoint) -> HostMonitor:
        """What stands for the endpoint as long as it stays; one that left and came back has another."""
        return self._monitors.setdefault(endpoint, HostMonitor())

    def record(
        self,
        endpoint: Endpoint,
        outcome: Outcome,
        *,
        total: int,
        now: float,
        monitor: HostMonitor | None = None,
    ) -> Ejection | None:
        """Take one attempt into account; `total` is the number of endpoints now behind the host.

        With the `monitor` from before the attempt, what became of an attempt at an endpoint that has left
        since is dropped, even if its address has come back.
        """
        host = self._monitors.get(endpoint)
        if monitor is not None and monitor is not host:
            return None
        if host is None:
            host = self._monitors[endpoint] = HostMonitor()
        ejection = None
        for reason in self._count(host, outcome):
            host.in_a_row[reason] += 1
            # On an ejected endpoint the trigger is dropped and its counter runs past the threshold: failures
            # that arrive during an ejection neither prolong it nor count after it.
            if host.in_a_row[reason] == self.policy.threshold(reason) and endpoint not in self._ejected:
                host.reset(reason)
                ejection = self._eject(endpoint, host, reason, total=total, now=now)
        return ejection

    def advance(self, now: float) -> list[Return]:
        """Do the sweeps that are due; say who came back."""
        due = [endpoint for endpoint in self._ejected if self._monitors[endpoint].returns_at <= now]
        return [self._uneject(endpoint) for endpoint in due]

    def put_back(self, endpoint: Endpoint, *, now: float) -> Return | None:
        """End the endpoint's ejection, if there is one, as if its time were over, and begin to count anew."""
        host = self._monitors.get(endpoint)
        if host is None:
            return None
        if endpoint not in self._ejected:
            host.reset(*Reason)
            return None
        host.returns_at = now
        return self._uneject(endpoint)

    def _count(self, host: HostMonitor, outcome: Outcome) -> tuple[Reason, ...]:
        """Reset the counters that the outcome ends, and name those that it raises, in Envoy's order."""
        outcome = self._judged(outcome)
        if outcome.local_origin and self.policy.split_local_origin:
            if outcome.is_failure:
                return (Reason.CONSECUTIVE_LOCAL_ORIGIN,)
            host.reset(Reason.CONSECUTIVE_LOCAL_ORIGIN)
            return ()
        if not outcome.is_failure:
            if not outcome.local_origin:  # an established connection proves nothing about the answers
                host.reset(Reason.CONSECUTIVE_5XX, Reason.CONSECUTIVE_GATEWAY)
            return ()
        if outcome.status in GATEWAY_ERRORS:
            return (Reason.CONSECUTIVE_GATEWAY, Reason.CONSECUTIVE_5XX)
        host.reset(Reason.CONSECUTIVE_GATEWAY)
        return (Reason.CONSECUTIVE_5XX,)

    def _judged(self, outcome: Outcome) -> Outcome:
        """The outcome as `error_codes` has it: a success is 200, a failure that is no 5xx is 500 (Envoy)."""
        codes = self.policy.error_codes
        if codes is None or outcome.local_origin:
            return outcome
        if outcome.status not in codes:
            return Outcome(200)
        return outcome if outcome.is_failure else Outcome(500)

    def _eject(
        self, endpoint: Endpoint, host: HostMonitor, reason: Reason, *, total: int, now: float
    ) -> Ejection | None:
        if 100 * (len(self._ejected) + 1) > self.policy.max_ejection_percent * total:
            return None
        base, longest = self.policy.base_ejection_s, self.policy.max_ejection_s
        multiplier = self.multiplier(endpoint, now=now)
        host.multiplier = multiplier + 1 if base * multiplier < longest + base else multiplier
        duration = min(base * host.multiplier, longest)
        host.ejected_for, host.ejected_at = reason, now
        host.returns_at = self._created_at + self._tick_from(now + duration) * self.policy.interval_s
        self._ejected.add(endpoint)
        return Ejection(endpoint, reason, duration, host.multiplier)

    def _uneject(self, endpoint: Endpoint) -> Return:
        host = self._monitors[endpoint]
        self._ejected.discard(endpoint)
        duration = host.returns_at - (host.ejected_at or 0.0)
        host.returned_at = host.returns_at
        host.ejected_for = host.ejected_at = None
        host.reset(*Reason)
        return Return(endpoint, duration)

    def _tick_from(self, moment: float) -> int:
        """Number of the first sweep at or after the moment."""
        return math.ceil((moment - self._created_at) / self.policy.interval_s - _ROUNDING)
