"""Which failures are meant by which words, and the order of a chain."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.config.destination import Destination
from llm_fallback.config.rescue import Link, RescuePolicy
from llm_fallback.rescue.failures import covers_failure, covers_status, ignored_verdicts, in_order
from llm_fallback.rescue.gate import Verdict
from llm_fallback.retry import Failure
from tests.support.policies import compiled


def policy(*words: str, codes: tuple[int, ...] = ()) -> RescuePolicy:
    """A policy for these failures."""
    return compiled(failures=frozenset(words), codes=frozenset(codes))


CONNECTING = {
    Failure.CONNECT_FAILURE, Failure.CONNECT_TIMEOUT, Failure.TIMEOUT_CONNECTING, Failure.OVERFLOW,
}  # fmt: skip


@pytest.mark.parametrize(
    ("word", "failures"),
    [
        pytest.param("connect-failure", CONNECTING, id="connect-failure"),
        pytest.param("reset", set(Failure), id="reset"),
        pytest.param("5xx", set(Failure), id="5xx"),
        pytest.param("gateway-error", set(Failure), id="gateway-error"),
        pytest.param("response-timeout", {Failure.TIMEOUT}, id="response-timeout"),
        pytest.param("retriable-4xx", set(), id="retriable-4xx"),
        pytest.param("error-answer", set(), id="error-answer"),
    ],
)
def test_failures(word: str, failures: set[Failure]) -> None:
    """Envoy's words mean what they mean to Envoy: whoever gives no answer is meant by `5xx`, too."""
    assert {failure for failure in Failure if covers_failure(policy(word), failure)} == failures


@pytest.mark.parametrize(
    ("words", "codes", "statuses"),
    [
        pytest.param(["5xx"], (), [500, 503, 529], id="5xx"),
        pytest.param(["gateway-error"], (), [503], id="gateway-error"),
        pytest.param(["retriable-4xx"], (), [409], id="retriable-4xx"),
        pytest.param([], (429, 401), [401, 429], id="codes"),
        pytest.param(["reset"], (), [], id="none"),
    ],
)
def test_statuses(words: list[str], codes: tuple[int, ...], statuses: list[int]) -> None:
    """By class or by number."""
    asked = [400, 401, 409, 429, 500, 503, 529]

    assert [status for status in asked if covers_status(policy(*words, codes=codes), status)] == statuses


def test_ignored_verdicts() -> None:
    """All that the policy does not name; what is good or not known yet is no failure."""
    ignored = ignored_verdicts(policy("error-answer", "cut-answer"))

    assert ignored == {Verdict.EMPTY, Verdict.INVALID}


def link(host: str, weight: int | None = None) -> Link:
    """A link."""
    return Link(Destination(host), weight)


@given(st.lists(st.one_of(st.none(), st.integers(1, 5)), max_size=8), st.integers())
def test_in_order(weights: list[int | None], seed: int) -> None:
    """All, each once; those without weights where they were written, and nobody crosses them."""
    chain = [link(str(place), weight) for place, weight in enumerate(weights)]

    drawn = list(in_order(chain, random.Random(seed)))

    assert sorted(drawn, key=lambda each: int(each.destination.host)) == chain
    assert [n for n, each in enumerate(drawn) if each.weight is None] == [
        n for n, weight in enumerate(weights) if weight is None
    ]
    for place, each in enumerate(chain):
        if each.weight is None:
            assert set(map(str, drawn[:place])) == set(map(str, chain[:place]))


def test_weights() -> None:
    """Count for who is first."""
    rng = random.Random(1)
    chain = (link("a", 3), link("b", 1))

    firsts = [next(in_order(chain, rng)).destination.host for _ in range(1000)]

    assert 700 < firsts.count("a") < 800
