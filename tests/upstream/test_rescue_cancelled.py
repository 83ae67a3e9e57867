"""A client that hangs up, at any moment: nothing is left behind, and nothing is proved."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_fallback.config.rescue import Hedging, RescuePolicy
from llm_fallback.outlier import Outcome
from llm_fallback.resources.llmfallbackpolicy import Hold
from llm_fallback.retry import Failure
from llm_fallback.upstream.client import BodyBroken
from llm_fallback.upstream.exchange import Exchange
from tests.upstream.exchanging import Story, snapshot
from tests.upstream.rescuing import (
    DONE,
    FAILED,
    HI,
    KEEP_ALIVE,
    ROLE,
    STOP,
    STREAM,
    A,
    B,
    C,
    is_clean,
    policy,
    rescuing,
    sse,
)  # fmt: skip
from tests.upstream.virtual_time import run
from tests.upstream.world import SILENCE, Reply, World

REPLIES = st.sampled_from(
    [
        Reply(Failure.RESET, after_s=1.0), Reply(Failure.CONNECT_FAILURE, connecting_s=1.0), SILENCE,
        Reply(503, after_s=1.0), Reply(429, (("retry-after", "2"),)), sse(ROLE, 1.0, FAILED),
        sse(ROLE, 1.0, HI, 2.0, STOP, DONE), sse(*(KEEP_ALIVE, 1.0) * 9),
        sse(ROLE, 1.0, HI, 1.0, BodyBroken()),
    ]
)  # fmt: skip
POLICIES = st.builds(
    policy,
    chain=st.just(("c.com",)),
    hold=st.sampled_from(Hold),
    hedging=st.sampled_from([None, Hedging(1.5)]),
    backoff_s=st.sampled_from([0.0, 0.5]),
    probation=st.just(True),  # noqa: FBT003 - a value for a field
)


def until(policy: RescuePolicy, script: list[Reply], pauses: list[float]) -> Story:
    """A request that is given up after these pauses, unless it is over before; a.com is on trial."""

    async def main(clock: Callable[[], float]) -> Story:
        world = World(clock, (A, B, C), None)
        world.readmission.returned((A.key, A.endpoints[0]), now=0.0)
        world.replies(*script)
        story = Story(world, [], [], [])
        exchange = Exchange(world, snapshot((A, B, C), (rescuing(policy),)), STREAM, world)

        async def read() -> None:
            while not exchange.is_over:
                await exchange.pieces()

        task = asyncio.create_task(read())
        for pause in pauses:
            await asyncio.sleep(pause)
        task.cancel()
        await asyncio.wait([task])
        exchange.close()
        charged = len(world.health_changes)
        await asyncio.sleep(0)  # what was cancelled ends
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        assert len(world.health_changes) == charged
        return story

    return run(main)


@settings(deadline=None)
@given(
    POLICIES,
    st.lists(REPLIES, min_size=3, max_size=3),
    st.lists(st.sampled_from([0.0, 0.0, 1.0, 1.5, 4.0]), max_size=12),
)
def test_nothing_is_left(policy: RescuePolicy, script: list[Reply], pauses: list[float]) -> None:
    """No open response, no budget, no trial, no task; and it is told of, once."""
    story = until(policy, script, pauses)

    assert is_clean(story)
    assert len(story.events) == 1


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(SILENCE, id="before-headers"),
        pytest.param(Reply(connecting_s=1e6), id="while-connecting"),
        pytest.param(sse(ROLE, 1e6), id="before-the-first-token"),
        pytest.param(sse(ROLE, HI, 1e6), id="after-it"),
    ],
)
def test_hanging_up_proves_nothing(reply: Reply) -> None:
    """The endpoint is not ejected, and the attempt is told of."""
    story = until(policy(), [reply], [1.0])

    event = story.events[0]
    assert (story.world.health_changes, event.flags, event.target) == ([], ("DC",), "a.com:80")
    assert [attempt.result for attempt in event.attempts] in (["cancelled"], ["200"])
    assert not story.world.health.is_ejected(A, A.endpoints[0])


def test_a_trial_that_is_given_up_proves_nothing() -> None:
    """The next one is on trial again."""
    world = until(policy(probation=True), [SILENCE], [1.0]).world
    place = (A.key, A.endpoints[0])

    def admits() -> bool:
        return world.readmission.admits(place, probation=True, slow_start_s=0.0, now=9.0, rng=world.rng)

    assert admits()
    trial = world.readmission.begin(place)
    assert trial
    assert not admits()


def test_one_at_a_time_after_a_return() -> None:
    """The second request goes elsewhere while the first is on trial, and back when it has succeeded."""

    async def main(clock: Callable[[], float]) -> World:
        world = World(clock, (A, B, C), None)
        world.health.record(A, A.endpoints[0], Outcome(503), total=1, now=clock())
        world.replies(sse(ROLE, 2.0, HI, DONE), *[sse(ROLE, HI, DONE)] * 2)
        await asyncio.sleep(11)

        async def ask(after_s: float) -> None:
            await asyncio.sleep(after_s)
            exchange = Exchange(
                world, snapshot((A, B, C), (rescuing(policy(probation=True)),)), STREAM, world
            )
            while not exchange.is_over:
                await exchange.pieces()

        await asyncio.gather(ask(0.0), ask(1.0), ask(3.0))
        return world

    world = run(main)

    assert [sent.host for sent in world.sent] == ["a.com", "b.com", "a.com"]
    assert world.handled_events[0].rescue
    assert world.handled_events[0].rescue.reasons == ("a.com:80: not admitted",)
