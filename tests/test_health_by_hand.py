"""Ejections by hand, beside those of outlier detection."""

import math
from dataclasses import replace

import pytest

from llm_fallback.admin.clusters import as_text
from llm_fallback.config.snapshot import Target
from llm_fallback.events import Ejected, Returned
from llm_fallback.health import Health
from llm_fallback.metrics import Metrics
from llm_fallback.outlier import Endpoint, Outcome, OutlierPolicy
from llm_fallback.status import EndpointStatus, TargetStatus

POLICY = OutlierPolicy(consecutive_5xx=2, interval_s=1.0, base_ejection_s=10.0, max_ejection_percent=50)
A1, A2, A3 = (Endpoint(f"10.0.0.{n}", 443) for n in (1, 2, 3))
A = Target("a.com", 80, (A1, A2), outlier=POLICY)
B = Target("b.com", 80, (A1,))
FAILURE = Outcome(500)


def health_of(*targets: Target) -> Health:
    health = Health()
    health.adopt(targets or (A, B), now=0.0)
    return health


def eject(
    health: Health,
    target: Target,
    endpoint: Endpoint | None = None,
    *,
    now: float = 0.0,
    for_s: float = math.inf,
) -> list[Ejected]:
    return health.eject(target, endpoint, target.endpoints, now=now, until=now + for_s)


def out(health: Health, target: Target = A) -> list[Endpoint]:
    return [endpoint for endpoint in target.endpoints if health.is_ejected(target, endpoint)]


def fail(health: Health, endpoint: Endpoint, *, now: float = 0.0) -> Ejected | None:
    for _ in range(2):
        event = health.record(A, endpoint, FAILURE, total=2, now=now)
    return event


def test_a_whole_target() -> None:
    """With every endpoint that it has, or will have; another target of the same endpoint stays."""
    health = health_of()

    assert eject(health, A, for_s=30.0) == [
        Ejected("a.com", 80, "10.0.0.1:443", "by hand", 30.0, 0),
        Ejected("a.com", 80, "10.0.0.2:443", "by hand", 30.0, 0),
    ]
    assert out(health) == [A1, A2]
    assert health.is_ejected(A, A3)
    assert not health.is_healthy(A, A.endpoints)
    assert health.is_healthy(B, B.endpoints)
    assert health.next_return == 30.0
    assert [event for _, event in health.advance(30.0)] == [
        Returned("a.com", 80, "10.0.0.1:443", 30.0),
        Returned("a.com", 80, "10.0.0.2:443", 30.0),
    ]
    assert out(health) == []


def test_without_a_time_it_has_no_end() -> None:
    """No sweep is due for it."""
    health = health_of()
    event = eject(health, A, A1)[0]

    assert event.duration_s == math.inf
    assert health.next_return is None
    assert health.advance(1e9) == []
    assert out(health) == [A1]
    assert (health.by_hand_until(A, A1), health.by_hand_until(A, A2)) == (math.inf, None)


def test_it_counts_in_neither_percentage_nor_multiplier() -> None:
    """Outlier detection may still eject as many as without it, for as long."""
    health = health_of()
    eject(health, A, A1)
    event = fail(health, A2)

    assert event is not None
    assert (event.multiplier, event.duration_s) == (1, 10.0)
    assert out(health) == [A1, A2]


def test_it_is_no_candidate_of_panic() -> None:
    """Of outlier detection's, panic makes candidates again."""
    health = health_of()
    assert health.without_by_hand(A, A.endpoints) is A.endpoints
    eject(health, A, A1)
    fail(health, A2)

    assert health.without_by_hand(A, A.endpoints) == [A2]


def test_the_last_word_counts() -> None:
    """It may be shorter than the one before, of which nothing is left."""
    health = health_of()
    eject(health, A)
    assert eject(health, A, now=1.0, for_s=5.0) == []

    assert health.next_return == 6.0
    assert len(health.advance(6.0)) == 2
    assert out(health) == []


def test_who_is_out_twice_is_told_of_once() -> None:
    """It leaves when the first reason comes, and is back when the last one goes."""
    health = health_of()
    fail(health, A1)
    assert eject(health, A, A1, for_s=20.0) == []

    assert health.advance(10.0) == []
    assert out(health) == [A1]
    assert [event for _, event in health.advance(20.0)] == [Returned("a.com", 80, "10.0.0.1:443", 20.0)]


@pytest.mark.parametrize("endpoint", [None, A1], ids=["target", "endpoint"])
def test_a_return_ends_all_at_once(endpoint: Endpoint | None) -> None:
    """By hand, held off, or ejected by the detector, which counts anew."""
    health = health_of()
    fail(health, A1, now=1.0)
    health.hold_off(A, A1, seconds=60.0, now=2.0)
    eject(health, A, A1, now=3.0)

    assert health.put_back(A, endpoint, A.endpoints, now=5.0) == [Returned("a.com", 80, "10.0.0.1:443", 4.0)]
    assert out(health) == []
    assert (health.held_until(A, A1), health.returns_at(A, A1)) == (None, None)
    assert health.advance(1e9) == []
    state = health.state(A, A1, now=5.0)
    assert state is not None
    assert set(state.in_a_row.values()) == {0}


def test_a_return_is_as_if_the_time_were_over() -> None:
    """The multiplier stays, and decays from then on."""
    health = health_of()
    fail(health, A1)
    health.put_back(A, A1, A.endpoints, now=2.5)
    event = fail(health, A1, now=3.0)

    assert event is not None
    assert event.multiplier == 2


def test_a_return_forgets_failures_of_who_is_in_rotation() -> None:
    """There is no event for that."""
    health = health_of()
    health.record(A, A1, FAILURE, total=2, now=0.0)

    assert health.put_back(A, None, A.endpoints, now=1.0) == []
    assert health.record(A, A1, FAILURE, total=2, now=1.0) is None


def test_one_endpoint_of_a_target_that_is_out() -> None:
    """The others stay out."""
    health = health_of()
    eject(health, A, for_s=9.0)

    assert health.put_back(A, A1, A.endpoints, now=1.0) == [Returned("a.com", 80, "10.0.0.1:443", 1.0)]
    assert out(health) == [A2]
    assert health.next_return == 9.0


def test_clearing_ends_ejections_by_hand_only() -> None:
    """What outlier detection has done stays."""
    health = health_of()
    eject(health, A)
    fail(health, A1)

    assert health.end_by_hand(A, None, A.endpoints, now=2.0) == [Returned("a.com", 80, "10.0.0.2:443", 2.0)]
    assert out(health) == [A1]


def test_it_survives_a_reload_in_which_its_target_stays() -> None:
    """And goes with its target."""
    health = health_of()
    eject(health, A)
    eject(health, B)
    ended = health.adopt([replace(A, outlier=None)], now=1.0)

    assert ended == [Returned("b.com", 80, "10.0.0.1:443", 1.0, is_gone=True)]
    assert out(health) == [A1, A2]
    health.adopt([A, B], now=2.0)
    assert out(health, B) == []


def test_the_clusters_page_says_so_in_envoys_words() -> None:
    """What a control plane has taken out has failed EDS health, and no outlier check."""
    found = as_text(Metrics(), [TargetStatus(B, (EndpointStatus(A1, by_hand_until=math.inf),))])

    assert "outbound|80||b.com::10.0.0.1:443::health_flags::/failed_eds_health\n" in found


def test_the_metrics_count_it_as_nothing_of_envoys() -> None:
    """Neither as an ejection of outlier detection nor as a hold-off."""
    metrics = Metrics()
    metrics.adopt([A])
    for event in eject(health_of(), A):
        metrics.take(event)

    counts = metrics.targets["a.com:80"]
    assert counts.hold_offs == 0
    assert not any(counts.stats.values())
