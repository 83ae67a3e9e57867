"""Time limits of attempts, the waits between them, and clients that do not wait."""

import asyncio
from collections.abc import Callable

import pytest

from llm_fallback.events import PER_TRY_TIMEOUT
from llm_fallback.local_replies import REQUEST_TIMEOUT, Flag
from llm_fallback.outlier import OutlierPolicy
from llm_fallback.retry import Failure
from llm_fallback.upstream.attempts import Attempts, Limits
from tests.upstream.attempting import CHAT, WATCHED, Script, attempt, outcome, retries
from tests.upstream.virtual_time import run
from tests.upstream.world import SILENCE, UNREACHABLE, Lowest, Reply, World, target


def test_a_per_try_timeout_is_one_tries() -> None:
    """It begins with the connection, ends the try, is charged, and may be tried again."""
    policy = retries(1, "reset", per_try_timeout_s=0.25)
    slow = Reply(after_s=9.0, connecting_s=0.5)

    world, made, result = attempt(
        (slow, 200), policy, target(outlier=OutlierPolicy(2, max_ejection_percent=100))
    )

    assert outcome(result) == 200
    assert [sent.at for sent in world.sent] == [0.0, 0.75]
    assert made.made[0].result == "timeout (no response headers in time)"
    assert made.made[0].duration_s == pytest.approx(0.75, abs=0.001)


@pytest.mark.parametrize(
    ("word", "sent"),
    [
        pytest.param("5xx", 2, id="5xx"),
        pytest.param("gateway-error", 2, id="gateway-error"),
        pytest.param("reset", 2, id="reset"),
        pytest.param("connect-failure", 1, id="connect-failure"),
        pytest.param("reset-before-request", 1, id="reset-before-request"),
    ],
)
def test_which_words_cover_a_per_try_timeout(word: str, sent: int) -> None:
    """Those that cover resets; used up, it is a timeout like any other."""
    world, made, result = attempt((SILENCE,) * 2, retries(1, word, per_try_timeout_s=0.25))

    assert (len(world.sent), result) == (sent, REQUEST_TIMEOUT)
    assert made.flags == ((Flag("URX"),) if sent == 2 else ())


def test_codes_do_not_cover_a_per_try_timeout() -> None:
    """Its 504 is the client's, not an answer of the endpoint's."""
    world, _, result = attempt((SILENCE, 200), retries(1, codes=(504,), per_try_timeout_s=0.25))

    assert (len(world.sent), result) == (1, REQUEST_TIMEOUT)


def test_the_routes_timeout_spans_all_attempts() -> None:
    """It is never tried again itself, and cuts the last try short."""
    policy = retries(9, "5xx", per_try_timeout_s=0.5)

    world, made, result = attempt((SILENCE,) * 9, policy, timeout_s=1.25)

    assert result == REQUEST_TIMEOUT
    assert [sent.at for sent in world.sent] == [0.0, 0.5, 1.0]
    assert [round(each.duration_s, 2) for each in made.made] == [0.5, 0.5, 0.25]
    assert [each.failure for each in made.made] == [PER_TRY_TIMEOUT, PER_TRY_TIMEOUT, "timeout"]
    assert made.flags == ()


def test_what_is_said_about_time() -> None:
    """Upstreams are told how long a try may take: its own limit, or what is left of the route's."""
    policy = retries(9, "5xx", per_try_timeout_s=0.5)

    world, _, _ = attempt((SILENCE,) * 9, policy, timeout_s=1.25)
    unlimited, _, _ = attempt((200,))

    told = [sent.header("x-envoy-expected-rq-timeout-ms") for sent in (*world.sent, *unlimited.sent)]
    assert told == ["500", "500", "250", None]


def test_the_routes_timeout_while_connecting() -> None:
    """It ends the wait, and the endpoint is not charged with it."""
    world, made, result = attempt((UNREACHABLE, 200), retries(9, "5xx"), WATCHED, timeout_s=0.5)

    assert (result, world.health_changes, len(world.sent)) == (REQUEST_TIMEOUT, [], 1)
    assert made.made[0].duration_s == pytest.approx(0.5, abs=0.001)


def test_a_per_try_timeout_does_not_run_while_connecting() -> None:
    """That has the connect timeout, which comes from the client."""
    slow = Reply(Failure.CONNECT_TIMEOUT, connecting_s=0.0, after_s=5.0)

    world, _, result = attempt((slow, 200), retries(1, "connect-failure", per_try_timeout_s=0.25))

    assert (outcome(result), [sent.at for sent in world.sent]) == (200, [0.0, 5.0])


def test_time_is_up_during_a_back_off() -> None:
    """504 at the deadline; the answer before it counted once, and the timeout itself not at all."""
    policy = retries(9, "5xx", backoff_s=10.0)
    watched = target(outlier=OutlierPolicy(2, max_ejection_percent=100))

    world, made, result = attempt((503,), policy, watched, timeout_s=1.0, rng=Lowest(0.5))

    assert (result, world.health_changes, len(made.made)) == (REQUEST_TIMEOUT, [], 1)
    assert world.clock() == pytest.approx(1.0, abs=0.001)
    assert world.scripted.retrying.count == 0


def test_back_offs_between_attempts() -> None:
    """Up to the base, then three and seven times it, ten times it at most."""
    policy = retries(4, "5xx", backoff_s=1.0)

    world, _, _ = attempt((503,) * 4 + (200,), policy, rng=Lowest(0.5, 0.5, 0.5, 0.5))

    assert [sent.at for sent in world.sent] == pytest.approx([0.0, 0.5, 2.0, 5.5, 10.5], abs=0.001)


def test_an_ejection_during_a_back_off_ends() -> None:
    """The retry finds the endpoint back in rotation."""
    policy = retries(1, "5xx", backoff_s=20.0)

    world, _, result = attempt((503, 200), policy, WATCHED, rng=Lowest(0.75))

    assert (outcome(result), world.health_changes) == (200, ["-a.com:80", "+a.com:80"])


@pytest.mark.parametrize("script", [(SILENCE,), (UNREACHABLE,), (503, SILENCE), (503,)])
def test_a_client_that_leaves(script: Script) -> None:
    """Nothing is proved about the endpoint, and no retry stays counted."""
    watched = target(outlier=OutlierPolicy(2, max_ejection_percent=100))
    policy = retries(1, "5xx", backoff_s=0.0 if len(script) == 2 else 100.0)

    async def main(clock: Callable[[], float]) -> None:
        world = World(clock, [watched], None)
        world.rng = Lowest(0.5)
        world.replies(*script)
        attempts = Attempts(world, watched, Limits(policy), world)
        task: asyncio.Task[object] = asyncio.create_task(attempts.run(CHAT))
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(world.sent) == len(attempts.made) == len(script)
        assert world.health_changes == []
        assert world.scripted.retrying.count == 0
        assert all(response.is_released for response in world.responses)

    run(main)
