"""Which target, and which endpoint of it."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.config.snapshot import Target
from llm_fallback.outlier import Endpoint
from llm_fallback.selection import choose_endpoint, choose_target

PRIMARY = Target("a.com", 80, (Endpoint("a.com", 443),))
FALLBACK = Target("b.com", 80, (Endpoint("b.com", 443),))
A, B, C = (Endpoint(f"10.0.0.{number}", 443) for number in (1, 2, 3))


class Picks:
    """A balancer that picks from a list; running out of it is an error."""

    def __init__(self, *picks: Endpoint) -> None:
        self.left = list(picks)

    def __call__(self, candidates: Sequence[Endpoint]) -> Endpoint:
        pick = self.left.pop(0)
        assert pick in candidates
        return pick


@pytest.mark.parametrize(
    ("fallback", "healthy", "chosen"),
    [
        pytest.param(FALLBACK, {PRIMARY, FALLBACK}, PRIMARY, id="both-healthy"),
        pytest.param(FALLBACK, {PRIMARY}, PRIMARY, id="fallback-unhealthy"),
        pytest.param(FALLBACK, {FALLBACK}, FALLBACK, id="primary-unhealthy"),
        pytest.param(FALLBACK, set(), PRIMARY, id="both-unhealthy"),
        pytest.param(None, {PRIMARY}, PRIMARY, id="no-fallback-and-healthy"),
        pytest.param(None, set(), PRIMARY, id="no-fallback-and-unhealthy"),
    ],
)
def test_choose_target(fallback: Target | None, healthy: set[Target], chosen: Target) -> None:
    """The fallback only while the primary has nobody and the fallback has somebody."""
    assert choose_target(PRIMARY, fallback, healthy.__contains__) is chosen


@pytest.mark.parametrize(
    ("total", "ejected", "threshold", "has_choice"),
    [
        pytest.param(1, 1, 0, False, id="threshold-0-never"),
        pytest.param(1, 1, 1, True, id="nobody-healthy-is-below-any-other"),
        pytest.param(2, 1, 50, False, id="exactly-at-the-threshold"),
        pytest.param(2, 1, 51, True, id="just-below-it"),
        pytest.param(3, 1, 66, False, id="a-third-ejected-66"),
        pytest.param(3, 1, 67, True, id="a-third-ejected-67"),
        pytest.param(2, 0, 100, False, id="all-healthy-is-never-below"),
        pytest.param(2, 1, 100, True, id="one-of-two-is-below-100"),
    ],
)
def test_panic_is_strictly_below_the_threshold(
    total: int, ejected: int, threshold: int, *, has_choice: bool
) -> None:
    """Below it, ejected endpoints take part again; at it, they do not."""
    endpoints = [Endpoint("10.0.0.1", port) for port in range(1, total + 1)]
    out = set(endpoints[:ejected])

    chosen = {
        choose_endpoint(
            endpoints,
            out.__contains__,
            random.Random(seed).choice,
            panic_threshold=threshold,
            avoid=(),
        )
        for seed in range(50)
    }

    assert bool(chosen & out) is has_choice
    healthy: set[Endpoint | None] = {endpoint for endpoint in endpoints if endpoint not in out}
    assert chosen == (set(endpoints) if has_choice else healthy or {None})


@pytest.mark.parametrize("threshold", [0, 50, 100])
def test_no_endpoints_at_all(threshold: int) -> None:
    """A name that does not exist has nobody, panic or not."""
    assert choose_endpoint([], lambda _: False, Picks(), panic_threshold=threshold, avoid=()) is None


@pytest.mark.parametrize(
    ("picks", "avoid", "chosen"),
    [
        pytest.param([A], [], A, id="first-attempt"),
        pytest.param([B], [A], B, id="not-tried-yet"),
        pytest.param([A, A, B], [A], B, id="picks-again"),
        pytest.param([A, B, A, B, A, C], [A, B], C, id="the-last-of-six-picks"),
        pytest.param([A] * 6, [A], A, id="gives-in-after-five-more-picks"),
    ],
)
def test_a_retry_avoids_endpoints_already_tried(
    picks: list[Endpoint], avoid: list[Endpoint], chosen: Endpoint
) -> None:
    """Five more picks, then any (Istio's host_selection_retry_max_attempts)."""
    pick = Picks(*picks)

    assert choose_endpoint([A, B, C], lambda _: False, pick, panic_threshold=0, avoid=avoid) is chosen
    assert pick.left == []


def test_the_only_healthy_endpoint_is_tried_again() -> None:
    """There is nobody else to avoid it for."""
    chosen = choose_endpoint([A, B], {B}.__contains__, Picks(), panic_threshold=0, avoid=[A])

    assert chosen is A


@given(st.sets(st.sampled_from([A, B, C])), st.integers(0, 100), st.randoms())
def test_an_ejected_endpoint_is_chosen_only_in_panic(
    ejected: set[Endpoint], threshold: int, rng: random.Random
) -> None:
    """Whatever the percentages."""
    chosen = choose_endpoint([A, B, C], ejected.__contains__, rng.choice, panic_threshold=threshold, avoid=())

    panic = (3 - len(ejected)) / 3 < threshold / 100
    if panic:
        assert chosen is not None
    elif len(ejected) == 3:
        assert chosen is None
    else:
        assert chosen not in ejected
