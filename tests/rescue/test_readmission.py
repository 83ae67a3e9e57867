"""How endpoints come back: one request at a time, or a growing share."""

import random

import pytest

from llm_fallback.outlier import Endpoint
from llm_fallback.rescue.readmission import Readmission
from tests.upstream.world import target

A, B = target("a.com", "10.0.0.1", "10.0.0.2"), target("b.com", per_address=True)
ONE, TWO = A.endpoints
PLACE = (A.key, ONE)


def admits(known: Readmission, *, probation: bool = True, slow_start_s: float = 0.0, now: float = 0.0,
           draw: float = 0.0) -> bool:  # fmt: skip
    """Whether a request may go to the endpoint."""
    rng = random.Random()
    rng.random = lambda: draw  # type: ignore[method-assign]
    return known.admits(PLACE, probation=probation, slow_start_s=slow_start_s, now=now, rng=rng)


def test_who_was_never_away_is_admitted() -> None:
    """Any number of times."""
    known = Readmission()

    assert (known.begin(PLACE), admits(known)) == (None, True)


@pytest.mark.parametrize(
    ("succeeded", "at_once"),
    [
        pytest.param(True, True, id="success"),
        pytest.param(False, False, id="failure"),
        pytest.param(None, False, id="nothing-proved"),
    ],
)
def test_probation(*, succeeded: bool | None, at_once: bool) -> None:
    """One at a time until one has succeeded."""
    known = Readmission()
    known.returned(PLACE, now=0.0)
    before = admits(known)
    trial = known.begin(PLACE)
    during = admits(known)
    assert trial
    trial.end(succeeded=succeeded)
    known.begin(PLACE)

    assert (before, during, admits(known)) == (True, False, at_once)


def test_without_probation_nobody_waits() -> None:
    """Though another policy's trial is under way."""
    known = Readmission()
    known.returned(PLACE, now=0.0)
    known.begin(PLACE)

    assert admits(known, probation=False)


def test_a_trial_belongs_to_its_return() -> None:
    """One that began before the last ejection says nothing of the time after it."""
    known = Readmission()
    known.returned(PLACE, now=0.0)
    old = known.begin(PLACE)
    known.returned(PLACE, now=10.0)
    new = known.begin(PLACE)
    assert old
    assert new
    old.end(succeeded=True)

    assert (admits(known), new.is_under_way) == (False, True)


def test_requests_beside_a_trial_are_none() -> None:
    """Whose end would end somebody else's trial."""
    known = Readmission()
    known.returned(PLACE, now=0.0)

    assert (known.begin(PLACE) is None, known.begin(PLACE) is None) == (False, True)


@pytest.mark.parametrize(
    ("now", "draw", "admitted"),
    [
        pytest.param(0.0, 0.09, True, id="a-tenth-at-first"),
        pytest.param(0.0, 0.1, False, id="no-more"),
        pytest.param(5.0, 0.49, True, id="half-way"),
        pytest.param(5.0, 0.5, False, id="half-way-out"),
        pytest.param(10.0, 0.999, True, id="all"),
    ],
)
def test_slow_start(now: float, draw: float, *, admitted: bool) -> None:
    """The share grows with the time since the return."""
    known = Readmission()
    known.returned(PLACE, now=0.0)

    assert admits(known, probation=False, slow_start_s=10.0, now=now, draw=draw) is admitted


def unproven(known: Readmission) -> list[str]:
    """Of whom something is remembered."""
    elsewhere = Endpoint("10.0.0.9", 80)
    places = [(A.key, ONE), (A.key, TWO), (B.key, ONE), (B.key, elsewhere)]
    return [f"{key[0]} {endpoint.address}" for key, endpoint in places if known.begin((key, endpoint))]


def returned() -> Readmission:
    """Three who have come back."""
    known = Readmission()
    for place in ((A.key, ONE), (A.key, TWO), (B.key, ONE)):
        known.returned(place, now=0.0)
    return known


def test_endpoints_that_are_gone_are_forgotten() -> None:
    """Those of the target, and no others."""
    known = returned()
    known.keep_only(A, [TWO])

    assert unproven(known) == ["a.com 10.0.0.2", "b.com 10.0.0.1"]


def test_a_reload_keeps_what_stays() -> None:
    """Endpoints that DNS has found stay with their target; those that were written have to be still there."""
    fewer = target("a.com", "10.0.0.2")
    both, one = returned(), returned()
    both.adopt([fewer, B])
    one.adopt([B])

    assert unproven(both) == ["a.com 10.0.0.2", "b.com 10.0.0.1"]
    assert unproven(one) == ["b.com 10.0.0.1"]
