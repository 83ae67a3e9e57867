"""Who has asked to be left alone, and who comes back when."""

from llm_fallback.config.rescue import Budget
from llm_fallback.health import Health
from llm_fallback.outlier import Endpoint, Outcome, Return
from llm_fallback.rescue.budget import RescueBudget
from llm_fallback.rescue.hold_offs import HoldOffs
from tests.upstream.world import EJECTS, target

KEY = ("a.com", 80, None)
E = Endpoint("10.0.0.1", 80)
A = target("a.com", outlier=EJECTS)
ONE = A.endpoints[0]


def test_the_longest_counts() -> None:
    """A shorter one changes nothing; the time is counted from the first."""
    held = HoldOffs()

    news = [held.hold(KEY, E, now=now, until=until) for now, until in ((0.0, 20.0), (5.0, 10.0), (6.0, 30.0))]

    assert (news, held.until(KEY, E), held.next_return) == ([True, False, True], 30.0, 30.0)
    assert held.advance(29.9) == []
    assert held.advance(30.0) == [(KEY, Return(E, 30.0))]
    assert (held.holds(KEY, E), held.until(KEY, E), held.next_return) == (False, None, None)


def test_it_is_the_floor_of_an_ejection() -> None:
    """Ejected for 10 s and asked to be left alone for 20 s: back after 20 s, and said so once."""
    health = Health()
    health.adopt([A], now=0.0)
    health.record(A, ONE, Outcome(503), total=1, now=0.0)
    health.hold_off(A, ONE, seconds=20.0, now=0.0)

    back = {now: [str(place[1]) for place, _ in health.advance(now)] for now in (10.0, 19.0, 20.0)}

    assert back == {10.0: [], 19.0: [], 20.0: ["a.com:80"]}
    assert not health.is_ejected(A, ONE)


def test_a_longer_ejection_goes_on() -> None:
    """Asked to be left alone for 5 s, ejected for 10 s: back after 10 s."""
    health = Health()
    health.adopt([A], now=0.0)
    health.hold_off(A, ONE, seconds=5.0, now=0.0)
    health.record(A, ONE, Outcome(503), total=1, now=0.0)

    assert (health.held_until(A, ONE), health.returns_at(A, ONE)) == (5.0, 10.0)
    assert (health.advance(5.0), health.is_ejected(A, ONE)) == ([], True)
    assert [place for place, _ in health.advance(10.0)] == [(A.key, ONE)]


def test_a_target_without_detection_can_be_held() -> None:
    """Nobody else would take it out."""
    plain = target("p.com")
    health = Health()
    health.adopt([plain], now=0.0)
    event = health.hold_off(plain, plain.endpoints[0], seconds=5.0, now=1.0)

    assert event
    assert (event.reason, event.duration_s, health.next_return) == ("asked by the provider", 5.0, 6.0)
    assert not health.is_healthy(plain, plain.endpoints)
    assert health.returns_at(plain, plain.endpoints[0]) is None


def test_the_budget() -> None:
    """A share of the active requests, and a floor."""
    budget = RescueBudget()
    allowed = Budget(percent=50, minimum=1)
    budget.requests = 6

    for _ in range(3):
        assert budget.allows(allowed)
        budget.take()
    assert not budget.allows(allowed)
    budget.give_back()
    assert budget.allows(allowed)
    budget.requests = 0
    assert not budget.allows(allowed)
