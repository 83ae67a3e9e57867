"""A second detector, written from the text of `mesh-semantics.md` 6 without a thought of speed.

It does every sweep one by one and keeps every number that the text names. `compare_histories` plays random
histories on both detectors, and on the same clock.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from llm_fallback.outlier import Detector, Endpoint, Outcome, OutlierPolicy, Reason

_ENDPOINTS = tuple(Endpoint(f"10.0.0.{number}", 443) for number in range(1, 5))
_STATUSES = (200, 200, 204, 302, 404, 429, 429, 500, 500, 500, 502, 503, 503, 504, 529, 599, 600)
_TICK_S = 1 / 8  # has an exact binary form, so that the two agree to the last bit


@dataclass
class Host:
    """What the text keeps of a host."""

    consecutive_5xx: int = 0
    consecutive_gateway: int = 0
    consecutive_local: int = 0
    multiplier: int = 0
    ejected_at: float | None = None
    unejected_at: float | None = None


@dataclass
class Model:
    """Envoy's rules, one statement each."""

    policy: OutlierPolicy
    next_sweep: float
    hosts: dict[Endpoint, Host] = field(default_factory=dict)

    def sweep_until(self, now: float) -> dict[Endpoint, float]:
        """Do the sweeps up to now; who came back, and after how long."""
        back: dict[Endpoint, float] = {}
        while self.next_sweep <= now:
            for endpoint, host in self.hosts.items():
                if host.ejected_at is not None:
                    ejected_for = self.next_sweep - host.ejected_at
                    if ejected_for >= min(self.policy.base_ejection_s * host.multiplier, self._longest()):
                        back[endpoint] = ejected_for
                        host.ejected_at = None
                        host.unejected_at = self.next_sweep
                        host.consecutive_5xx = host.consecutive_gateway = host.consecutive_local = 0
                elif host.unejected_at is not None and self._is_survived(host.unejected_at):
                    host.multiplier = max(0, host.multiplier - 1)
            self.next_sweep += self.policy.interval_s
        return back

    def report(self, endpoint: Endpoint, outcome: Outcome, total: int, now: float) -> Reason | None:
        """Take an outcome; the reason of the ejection, if it caused one."""
        host = self.hosts.setdefault(endpoint, Host())
        if outcome.local_origin:
            return self._local(host, outcome.status, total, now)
        status = outcome.status
        if self.policy.error_codes is not None:
            if status not in self.policy.error_codes:
                status = 200
            elif not 500 <= status <= 599:
                status = 500
        return self._external(host, status, total, now)

    def _local(self, host: Host, status: int, total: int, now: float) -> Reason | None:
        is_failure = status >= 500
        if not self.policy.split_local_origin:
            return self._external(host, status, total, now) if is_failure else None
        if not is_failure:
            host.consecutive_local = 0
            return None
        host.consecutive_local += 1
        if host.consecutive_local != self.policy.consecutive_local_origin or host.ejected_at is not None:
            return None
        host.consecutive_local = 0
        return Reason.CONSECUTIVE_LOCAL_ORIGIN if self._eject(host, total, now) else None

    def _external(self, host: Host, status: int, total: int, now: float) -> Reason | None:
        if not 500 <= status <= 599:
            host.consecutive_5xx = 0
            host.consecutive_gateway = 0
            return None
        reason = None
        if status in (502, 503, 504):
            host.consecutive_gateway += 1
            if host.consecutive_gateway == self.policy.consecutive_gateway and host.ejected_at is None:
                host.consecutive_gateway = 0
                if self._eject(host, total, now):
                    reason = Reason.CONSECUTIVE_GATEWAY
        else:
            host.consecutive_gateway = 0
        host.consecutive_5xx += 1
        if host.consecutive_5xx == self.policy.consecutive_5xx and host.ejected_at is None:
            host.consecutive_5xx = 0
            if self._eject(host, total, now):
                reason = Reason.CONSECUTIVE_5XX
        return reason

    def _eject(self, host: Host, total: int, now: float) -> bool:
        ejected = sum(other.ejected_at is not None for other in self.hosts.values())
        if 100 * (ejected + 1) / total > self.policy.max_ejection_percent:
            return False
        if self.policy.base_ejection_s * host.multiplier < self._longest() + self.policy.base_ejection_s:
            host.multiplier += 1
        host.ejected_at = now
        return True

    def _is_survived(self, unejected_at: float) -> bool:
        return self.next_sweep - unejected_at >= self.policy.interval_s

    def _longest(self) -> float:
        return max(300.0, self.policy.base_ejection_s)


@dataclass(frozen=True, slots=True)
class Event:
    """After a wait, attempts at an endpoint had these outcomes; or (none) only these endpoints are left."""

    wait_s: float
    endpoint: Endpoint
    outcomes: tuple[Outcome, ...]
    left: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """A policy, when its detector came to be, and what happened then."""

    policy: OutlierPolicy
    created_at: float
    events: tuple[Event, ...]


def compare_histories(count: int, *, seed: int = 0) -> None:
    """Play random histories, that of each seed being always the same; AssertionError for a difference."""
    for number in range(seed, seed + count):
        compare(random_history(random.Random(number)))


def compare(history: History) -> None:
    """Ejections, returns, multipliers and who is ejected must agree after every event."""
    detector = Detector(history.policy, created_at=history.created_at)
    model = Model(history.policy, history.created_at + history.policy.interval_s)
    now = history.created_at
    total = len(_ENDPOINTS)
    for event in history.events:
        now += event.wait_s
        returned = {back.endpoint: back.duration_s for back in detector.advance(now)}
        assert returned == model.sweep_until(now), (history, event)
        if event.left:
            detector.keep_only(event.left)
            model.hosts = {e: host for e, host in model.hosts.items() if e in event.left}
            total = len(event.left)
        for outcome in event.outcomes:
            ejection = detector.record(event.endpoint, outcome, total=total, now=now)
            reason = model.report(event.endpoint, outcome, total, now)
            assert (ejection.reason if ejection else None) == reason, (history, event, outcome)
            if ejection:
                host = model.hosts[event.endpoint]
                assert ejection.multiplier == host.multiplier, (history, event)
        for endpoint, host in model.hosts.items():
            assert detector.is_ejected(endpoint) == (host.ejected_at is not None), (history, event)
            assert detector.multiplier(endpoint, now=now) == host.multiplier, (history, event)


def random_history(rng: random.Random) -> History:
    """Policies with low thresholds, and events in which much fails."""
    policy = OutlierPolicy(
        consecutive_5xx=rng.randint(0, 5),
        consecutive_gateway=rng.choice((0, 0, 1, 2, 3)),
        split_local_origin=rng.random() < 0.4,
        consecutive_local_origin=rng.randint(0, 3),
        interval_s=rng.randint(1, 24) * _TICK_S,
        base_ejection_s=rng.choice((rng.randint(1, 40) * _TICK_S, 125.0, 320.0)),
        max_ejection_percent=rng.choice((10, 34, 50, 67, 100, 100, 100)),
        error_codes=frozenset(rng.sample((200, 404, 429, 500, 503), 2)) if rng.random() < 0.2 else None,
    )
    events = tuple(_events(rng, rng.randint(1, len(_ENDPOINTS)), rng.randint(5, 40)))
    return History(policy, rng.randint(0, 800) * _TICK_S, events)


def _events(rng: random.Random, endpoints: int, count: int) -> Iterator[Event]:
    present = list(_ENDPOINTS[:endpoints])
    yield Event(0.0, present[0], (), tuple(present))
    for _ in range(count):
        wait = rng.choice((0.0, 0.0, rng.randint(0, 16) * _TICK_S, rng.randint(0, 80) * _TICK_S))
        if rng.random() < 0.02:
            wait = rng.randint(0, 400) / 2
        left: tuple[Endpoint, ...] = ()
        if rng.random() < 0.05:
            present = rng.sample(_ENDPOINTS, rng.randint(1, len(_ENDPOINTS)))
            left = tuple(present)
        yield Event(wait, rng.choice(present), tuple(_outcomes(rng)), left)


def _outcomes(rng: random.Random) -> Iterator[Outcome]:
    same = rng.choice(_STATUSES) if rng.random() < 0.4 else None
    for _ in range(rng.randint(1, 5)):
        if rng.random() < 0.3:
            yield Outcome(rng.choice((200, 503, 503, 504)), local_origin=True)
        else:
            yield Outcome(same or rng.choice(_STATUSES))
