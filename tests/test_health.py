"""Health of all targets, across reloads."""

from dataclasses import replace

import pytest

from llm_fallback.config.snapshot import ConnectionPool, Target
from llm_fallback.events import Ejected, Returned
from llm_fallback.health import Health
from llm_fallback.outlier import Endpoint, Outcome, OutlierPolicy, Reason, State

POLICY = OutlierPolicy(consecutive_5xx=1, interval_s=1.0, base_ejection_s=10.0, max_ejection_percent=100)
A1, A2, A3, B1 = (Endpoint(address, 443) for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.1.1"))
A = Target("a.com", 80, (A1,), outlier=POLICY)
B = Target("b.com", 80, (B1,), outlier=POLICY)
UNWATCHED = Target("c.com", 80, (Endpoint("c.com", 443),))
FAILURE = Outcome(500)


def health_of(*targets: Target) -> Health:
    health = Health()
    health.adopt(targets, now=0.0)
    return health


def returns(health: Health, *, now: float) -> list[Returned]:
    return [event for _, event in health.advance(now)]


def test_an_ejection_and_its_return_are_told() -> None:
    """With host, port, endpoint, reason, time and multiplier."""
    health = health_of(A, B)

    event = health.record(A, A1, FAILURE, total=1, now=0.5)

    assert event == Ejected("a.com", 80, "10.0.0.1:443", "consecutive 5xx", 10.0, 1)
    assert (health.is_healthy(A, A.endpoints), health.is_healthy(B, B.endpoints)) == (False, True)
    assert health.next_return == 11.0
    assert returns(health, now=10.9) == []
    assert returns(health, now=11.0) == [Returned("a.com", 80, "10.0.0.1:443", 10.5)]
    assert health.is_healthy(A, A.endpoints) is True
    assert health.next_return is None


def test_without_outlier_detection_nobody_is_ever_unhealthy() -> None:
    """Not even where nothing listens."""
    health = health_of(UNWATCHED)

    assert [
        health.record(UNWATCHED, UNWATCHED.endpoints[0], FAILURE, total=1, now=0.0) for _ in range(9)
    ] == [None] * 9
    assert health.is_healthy(UNWATCHED, UNWATCHED.endpoints) is True


def test_no_endpoints_are_not_healthy() -> None:
    """A name that does not exist sends its requests to the fallback."""
    assert health_of(UNWATCHED).is_healthy(UNWATCHED, ()) is False


def test_one_endpoint_in_rotation_is_enough() -> None:
    """A target is unhealthy only when all its endpoints are ejected."""
    target = replace(A, endpoints=(A1, A2))
    health = health_of(target)

    health.record(target, A1, FAILURE, total=2, now=0.0)
    assert health.is_healthy(target, target.endpoints) is True
    health.record(target, A2, FAILURE, total=2, now=0.0)
    assert health.is_healthy(target, target.endpoints) is False


def test_a_return_names_its_place() -> None:
    """Target and endpoint, for those who do more than tell of it."""
    health = health_of(A)
    health.record(A, A1, FAILURE, total=1, now=0.0)

    assert [place for place, _ in health.advance(10.0)] == [(A.key, A1)]


def test_subsets_are_watched_apart() -> None:
    """The same endpoint may be ejected in one and in rotation in the other, as in two of Envoy's clusters."""
    subset = replace(A, subset="v1")
    health = health_of(A, subset)

    health.record(subset, A1, FAILURE, total=1, now=0.5)

    assert (health.is_ejected(A, A1), health.is_ejected(subset, A1)) == (False, True)
    assert returns(health, now=11.0) == [Returned("a.com", 80, "10.0.0.1:443", 10.5, "v1")]
    assert health.is_ejected(subset, A1) is False


def test_next_return_is_the_earliest_of_all_targets() -> None:
    """That is when somebody has to wake up."""
    health = health_of(A, B)
    health.record(B, B1, FAILURE, total=1, now=0.0)
    health.record(A, A1, FAILURE, total=1, now=5.0)

    assert health.next_return == 10.0


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(A, id="the-same"),
        pytest.param(
            replace(A, panic_threshold=50, pool=ConnectionPool(connect_timeout_s=1.0)), id="other-settings"
        ),
        pytest.param(replace(A, outlier=replace(POLICY, base_ejection_s=20.0)), id="other-policy"),
        pytest.param(replace(A, endpoints=(A1, A2)), id="one-endpoint-more"),
    ],
)
def test_health_survives_a_reload(after: Target) -> None:
    """Kept for endpoints whose identity (host, port, address) stays."""
    health = health_of(A, B)
    health.record(A, A1, FAILURE, total=1, now=0.0)

    health.adopt([after], now=5.0)

    assert health.is_ejected(after, A1) is True
    assert health.next_return == 10.0


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(replace(A, host="d.com"), id="other-host"),
        pytest.param(replace(A, port=81), id="other-port"),
        pytest.param(replace(A, subset="v1"), id="other-subset"),
        pytest.param(replace(A, outlier=None), id="no-detection-any-more"),
    ],
)
def test_health_does_not_outlive_its_target(after: Target) -> None:
    """What is another target now starts in rotation."""
    health = health_of(A)
    health.record(A, A1, FAILURE, total=1, now=0.0)

    ended = health.adopt([after], now=5.0)

    assert [(each.host, each.duration_s) for each in ended] == [("a.com", 5.0)]
    assert health.is_healthy(after, after.endpoints) is True
    assert health.next_return is None


def test_what_a_reload_ends_is_told() -> None:
    """Of who is not out for another reason, and whether they are gone or only not watched any more."""
    before = replace(A, endpoints=(A1, A2, A3))
    health = health_of(before, B)
    for endpoint in before.endpoints:
        health.record(before, endpoint, FAILURE, total=3, now=0.0)
    health.hold_off(before, A2, seconds=300.0, now=1.0)
    health.hold_off(before, A3, seconds=300.0, now=1.0)
    health.hold_off(B, B1, seconds=300.0, now=2.0)

    ended = health.adopt([replace(A, endpoints=(A1, A2), outlier=None)], now=5.0)

    assert sorted(ended, key=lambda event: event.endpoint) == [
        Returned("a.com", 80, "10.0.0.1:443", 5.0),
        Returned("a.com", 80, "10.0.0.3:443", 5.0, is_gone=True),
        Returned("b.com", 80, "10.0.1.1:443", 3.0, is_gone=True),
    ]
    assert returns(health, now=1e9) == [Returned("a.com", 80, "10.0.0.2:443", 300.0)]


def test_a_hold_off_for_nobody() -> None:
    """A request that is older than the configuration hears of it too late."""
    health = health_of(A)
    assert health.hold_off(B, B1, seconds=300.0, now=0.0) is None
    assert health.next_return is None


def test_endpoints_that_a_reload_took_away_do_not_count_in_the_percentage() -> None:
    """One of two may be ejected, and the one that was is no longer there."""
    policy = replace(POLICY, max_ejection_percent=50)
    before, after = (replace(A, endpoints=endpoints, outlier=policy) for endpoints in ((A1, A2), (A2, A3)))
    health = health_of(before)
    health.record(before, A1, FAILURE, total=2, now=0.0)

    health.adopt([after], now=5.0)

    assert health.record(after, A2, FAILURE, total=2, now=5.0) == Ejected(
        "a.com", 80, "10.0.0.2:443", "consecutive 5xx", 10.0, 1
    )


def test_addresses_that_dns_found_survive_a_reload() -> None:
    """The configuration names the host, not its addresses: a reload takes none of them away."""
    target = replace(A, endpoints=(Endpoint("a.com", 443),), per_address=True)
    health = health_of(target)
    health.record(target, A1, FAILURE, total=1, now=0.0)

    health.adopt([replace(target)], now=5.0)

    assert health.is_ejected(target, A1) is True
    assert returns(health, now=10.0) == [Returned("a.com", 80, "10.0.0.1:443", 10.0)]


def test_a_count_survives_a_reload_and_meets_the_new_threshold() -> None:
    """Two failures before it and one after it are three in a row; the old sweep's beat stays."""
    before = replace(A, outlier=replace(POLICY, consecutive_5xx=5))
    after = replace(A, outlier=replace(POLICY, consecutive_5xx=3, base_ejection_s=20.0))
    health = health_of(before)
    told = [health.record(before, A1, FAILURE, total=1, now=0.0) for _ in range(2)]

    health.adopt([after], now=5.5)
    event = health.record(after, A1, FAILURE, total=1, now=5.5)

    assert (told, event) == (
        [None, None],
        Ejected("a.com", 80, "10.0.0.1:443", "consecutive 5xx", 20.0, 1),
    )
    assert health.next_return == 26.0


def test_endpoints_that_dns_took_away_are_forgotten() -> None:
    """An address that leaves the answer and comes back starts afresh."""
    health = health_of(A)
    health.record(A, A1, FAILURE, total=1, now=0.0)
    health.hold_off(A, A1, seconds=300.0, now=1.0)

    assert health.keep_only(A, [A2], now=4.0) == [Returned("a.com", 80, "10.0.0.1:443", 4.0, is_gone=True)]

    assert health.is_ejected(A, A1) is False
    assert health.next_return is None
    assert health.keep_only(UNWATCHED, [], now=4.0) == []


def test_the_state_of_an_endpoint_from_failure_to_return() -> None:
    """What counts against it, why it is out and since when and until when, and that it begins anew."""
    health = health_of(replace(A, outlier=replace(POLICY, consecutive_5xx=2)))
    clean = dict.fromkeys(Reason, 0)
    assert health.state(A, A1, now=0.0) == State(None, None, None, 0, clean)

    health.record(A, A1, FAILURE, total=1, now=0.5)
    counted = {**clean, Reason.CONSECUTIVE_5XX: 1}
    assert health.state(A, A1, now=0.6) == State(None, None, None, 0, counted)

    health.record(A, A1, FAILURE, total=1, now=1.5)
    assert health.state(A, A1, now=1.6) == State(Reason.CONSECUTIVE_5XX, 1.5, 12.0, 1, clean)

    health.advance(12.0)
    assert health.state(A, A1, now=12.5) == State(None, None, None, 1, clean)
    assert health.state(A, A1, now=20.0) == State(None, None, None, 0, clean)


def test_a_state_is_of_its_moment() -> None:
    """What happens later does not change it."""
    health = health_of(replace(A, outlier=replace(POLICY, consecutive_5xx=3)))
    before = health.state(A, A1, now=0.0)

    health.record(A, A1, FAILURE, total=1, now=0.5)

    assert before
    assert before.in_a_row[Reason.CONSECUTIVE_5XX] == 0


def test_without_outlier_detection_there_is_no_state() -> None:
    assert health_of(UNWATCHED).state(UNWATCHED, UNWATCHED.endpoints[0], now=0.0) is None
