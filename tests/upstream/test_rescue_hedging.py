"""Two targets side by side: the first good answer wins."""

import pytest

from llm_fallback.config.rescue import Budget, Hedging
from llm_fallback.config.routes import Retries
from llm_fallback.retry import Failure
from tests.upstream.exchanging import play
from tests.upstream.rescuing import (
    DONE,
    GOOD,
    HI,
    ROLE,
    STOP,
    STREAM,
    B,
    is_clean,
    policy,
    rescue,
    rescuing,
    sse,
    told,
)
from tests.upstream.world import EJECTS, SILENCE, Reply, target

HEDGED = policy(hedging=Hedging(2.0), chain=("c.com",))


def after(seconds: float) -> Reply:
    """A good answer, so late."""
    return sse(ROLE, HI, STOP, DONE, after_s=seconds)


@pytest.mark.parametrize(
    ("script", "at", "took", "served"),
    [
        pytest.param((after(1.0),), [0.0], 1.0, "a.com", id="in-time"),
        pytest.param((after(3.0), SILENCE), [0.0, 2.0], 3.0, "a.com", id="the-first-wins"),
        pytest.param((SILENCE, after(1.0)), [0.0, 2.0], 3.0, "b.com", id="the-second-wins"),
        pytest.param((SILENCE, SILENCE, after(1.0)), [0.0, 2.0, 4.0], 5.0, "c.com", id="the-third-wins"),
        pytest.param((500, after(1.0)), [0.0, 0.0], 1.0, "b.com", id="a-failure-needs-no-delay"),
        pytest.param((SILENCE, 500, after(1.0)), [0.0, 2.0, 2.0], 3.0, "c.com", id="nor-does-a-hedges"),
        pytest.param((Reply(500, after_s=3.0), after(1.5)), [0.0, 2.0], 3.5, "b.com", id="the-first-fails"),
    ],
)
def test_races(script: tuple[Reply | int, ...], at: list[float], took: float, served: str) -> None:
    """The loser is cancelled, and not charged."""
    story = rescue(*script, given=HEDGED)

    assert [sent.at for sent in story.world.sent] == [pytest.approx(moment, abs=0.01) for moment in at]
    assert (story.statuses, story.header("x-llm-fallback-host")) == ([200], served)
    assert story.events[0].duration_s == pytest.approx(took, abs=0.01)
    assert story.world.health_changes == [f"-{host}:80" for host in _failed(script)]
    assert is_clean(story)


def _failed(script: tuple[Reply | int, ...]) -> list[str]:
    statuses = [reply.result if isinstance(reply, Reply) else reply for reply in script]
    return [f"{name}.com" for name, status in zip("abc", statuses, strict=False) if status == 500]


def test_the_loser_is_told_of() -> None:
    """As an attempt that was given up."""
    story = rescue(SILENCE, after(1.0), given=HEDGED)

    assert [(each.target, each.result) for each in story.events[0].attempts] == [
        ("a.com:80", "cancelled"),
        ("b.com:80", "200"),
    ]
    assert story.events[0].attempts[0].duration_s == pytest.approx(3.0, abs=0.01)
    assert told(story).reasons == ()


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        pytest.param((after(3.0), SILENCE), ["a.com", "b.com", "a.com"], id="the-first-wins"),
        pytest.param((SILENCE, after(1.0)), ["a.com", "b.com", "b.com"], id="the-second-wins"),
        pytest.param((after(1.0),), ["a.com"], id="alone"),
    ],
)
def test_the_winners_request_is_shown(script: tuple[Reply, ...], shown: list[str]) -> None:
    """Whoever was asked last."""
    story = rescue(*script, given=HEDGED)

    told_of = story.world.announced
    assert [place.host for _, place, _ in told_of] == shown
    (winners,) = [sent for sent in story.world.sent if sent.host == shown[-1]]
    assert (told_of[-1][0], told_of[-1][2]) == (winners.outgoing, winners.endpoint)
    assert told(story).reasons == ()


def test_a_losers_answer_is_let_go_of() -> None:
    """Headers it has, and a role; no more."""
    story = rescue(sse(ROLE, 1e6), after(1.0), given=HEDGED)

    assert [response.is_released for response in story.world.responses] == [True, True]
    assert story.world.health_changes == []


def test_both_lost() -> None:
    """The last failure is the answer."""
    given = policy(hedging=Hedging(2.0))

    story = rescue(Reply(500, after_s=3.0), Reply(503, after_s=3.0), given=given)

    assert (story.statuses, told(story).reasons) == ([503], ("a.com:80: 500", "b.com:80: 503"))
    assert is_clean(story)


def test_the_budget() -> None:
    """Nobody is asked beside another without it, nor after; the first one is free."""
    none = Budget(percent=0, minimum=0)
    hedged = rescue(after(3.0), given=policy(hedging=Hedging(2.0), budget=none))
    lost = rescue(500, given=policy(budget=none))
    saved = rescue(
        500, 500, GOOD[True], given=policy(budget=Budget(0, 1), chain=("c.com",)), requests=(STREAM,)
    )

    assert (hedged.places, hedged.statuses, told(hedged).reasons) == (["a.com"], [200], ("no budget",))
    assert (lost.statuses, lost.header("x-should-retry")) == ([500], "false")
    assert saved.statuses == [200]
    assert all(is_clean(story) for story in (hedged, lost, saved))


def test_attempts_are_counted() -> None:
    """Those that run side by side, too."""
    story = rescue(SILENCE, after(9.0), given=policy(hedging=Hedging(2.0), attempts=2, chain=("c.com",)))

    assert (story.places, story.statuses) == (["a.com", "b.com"], [200])


@pytest.mark.parametrize(
    ("attempts", "places"),
    [
        pytest.param(2, ["a.com", "b.com"], id="none-is-left-for-a-retry"),
        pytest.param(3, ["a.com", "b.com", "a.com"], id="one-is"),
    ],
)
def test_retries_and_hedges_count_together(attempts: int, places: list[str]) -> None:
    """A target's retries are not its own: a hedge that began in the meantime has had one of them."""
    several = target("a.com", "10.0.0.1", "10.0.0.2", "10.0.0.3", outlier=EJECTS)
    given = policy(attempts=attempts, hedging=Hedging(2.0))
    resets = rescuing(given, retries=Retries(2, frozenset({"reset"})))

    story = play(
        (several, B),
        (resets,),
        Reply(Failure.RESET, after_s=3.0),
        after(9.0),
        Failure.RESET,
        requests=(STREAM,),
    )

    assert (story.places, story.statuses, story.header("x-llm-fallback-host")) == (places, [200], "b.com")
    assert story.header("x-llm-fallback-attempts") == str(attempts)
    assert is_clean(story)


def test_a_failure_without_a_hedge_waits_for_nothing() -> None:
    """As without hedging."""
    story = rescue(Failure.RESET, Failure.RESET, Failure.RESET, given=HEDGED)

    assert (story.statuses, [sent.at for sent in story.world.sent]) == ([503], [0.0, 0.0, 0.0])
