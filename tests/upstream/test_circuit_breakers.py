"""Limits on connections and requests, and what is counted of them."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_fallback.config.snapshot import ConnectionPool, Target, Tls
from llm_fallback.outlier import Endpoint
from llm_fallback.retry import Failure
from llm_fallback.upstream.client import AttemptFailed, UpstreamClient
from tests.upstream.provider import Provider, ask, counts, run, send, target, until

UNVERIFIED = Tls("a.com", ("a.com",), verify=False)


def begin(request: Coroutine[Any, Any, str]) -> asyncio.Task[str]:
    return asyncio.create_task(request)


def failure(task: asyncio.Task[str]) -> Failure:
    error = task.exception()
    assert isinstance(error, AttemptFailed)
    return error.failure


def test_without_limits() -> None:
    """Every request has a connection at once, which stays for those that follow."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            target = provider.target()
            client.prepare([target])
            provider.may_answer.clear()
            tasks = [begin(ask(client, target)) for _ in range(3)]
            await until(lambda: provider.requests == 3)
            assert counts(client, target) == (3, 0, 3)
            assert client.active(target, provider.endpoint) == 3
            provider.may_answer.set()
            assert sorted(await asyncio.gather(*tasks)) == ["1", "2", "3"]
            assert counts(client, target) == (3, 0, 0)
            assert client.active(target, provider.endpoint) == 0
            await ask(client, target)
            assert provider.connections == 3

    run(scenario)


def test_a_request_counts_until_the_end_of_its_response() -> None:
    """Whoever lets go of a response before that ends it."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            provider.rest_is_late = True
            target = provider.target()
            client.prepare([target])
            response = await send(client, target)
            assert counts(client, target) == (1, 0, 1)
            response.release()
            response.release()
            assert counts(client, target)[2] == 0

    run(scenario)


def test_requests_beyond_the_connections_wait_their_turn() -> None:
    """One connection serves all of them, in their order."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            target = provider.target(pool=ConnectionPool(max_connections=1))
            client.prepare([target])
            provider.may_answer.clear()
            order: list[int] = []
            tasks = [begin(ask(client, target)) for _ in range(4)]
            for number, task in enumerate(tasks):
                task.add_done_callback(lambda _, number=number: order.append(number))  # type: ignore[misc]
            await until(lambda: provider.requests == 1)
            assert counts(client, target) == (1, 3, 1)
            provider.may_answer.set()
            assert await asyncio.gather(*tasks) == ["1"] * 4
            assert order == [0, 1, 2, 3]
            assert counts(client, target) == (1, 0, 0)

    run(scenario)


def test_every_endpoint_has_a_connection() -> None:
    """Or else requests to the second would wait for ever."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as one, Provider() as other:
            both = target(one, other, pool=ConnectionPool(max_connections=1))
            client.prepare([both])
            assert await ask(client, both, one.endpoint) == "1"
            assert await ask(client, both, other.endpoint) == "1"
            assert counts(client, both) == (2, 0, 0)

    run(scenario)


def test_pending_requests_overflow() -> None:
    """One too many fails at once; those that wait do not notice."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            target = provider.target(pool=ConnectionPool(max_connections=1, max_pending_requests=1))
            client.prepare([target])
            provider.may_answer.clear()
            tasks = [begin(ask(client, target))]
            await until(lambda: provider.requests == 1)
            tasks += [begin(ask(client, target)) for _ in range(2)]
            await until(tasks[2].done)
            assert failure(tasks[2]) is Failure.OVERFLOW
            provider.may_answer.set()
            assert await asyncio.gather(*tasks[:2]) == ["1", "1"]

    run(scenario)


def test_a_request_is_pending_while_it_connects() -> None:
    """With nothing idle, requests at once need as much room as there are of them; with idle ones, none."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            target = provider.target(pool=ConnectionPool(max_pending_requests=1))
            client.prepare([target])
            tasks = [begin(ask(client, target)) for _ in range(2)]
            await asyncio.wait(tasks)
            assert failure(tasks[1]) is Failure.OVERFLOW
            assert [await tasks[0], await ask(client, target)] == ["1", "1"]
            assert counts(client, target) == (1, 0, 0)

    run(scenario)


def test_active_requests_overflow() -> None:
    """The connection that was made for it stays, as in Envoy."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            target = provider.target(pool=ConnectionPool(max_requests=1))
            client.prepare([target])
            provider.may_answer.clear()
            first = begin(ask(client, target))
            await until(lambda: provider.requests == 1)
            with pytest.raises(AttemptFailed) as raised:
                await ask(client, target)
            assert raised.value.failure is Failure.OVERFLOW
            assert counts(client, target) == (2, 0, 1)
            provider.may_answer.set()
            assert await first == "1"

    run(scenario)


def test_a_connection_serves_so_many_requests() -> None:
    """Then it is closed."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            target = provider.target(pool=ConnectionPool(max_requests_per_connection=2))
            client.prepare([target])
            assert [await ask(client, target) for _ in range(5)] == ["1", "1", "2", "2", "3"]
            await until(lambda: provider.open == 1)
            await until(lambda: counts(client, target) == (1, 0, 0))

    run(scenario)


@pytest.mark.parametrize(
    "pool",
    [
        pytest.param(ConnectionPool(idle_timeout_s=0.01), id="idle"),
        pytest.param(ConnectionPool(max_connection_duration_s=0.01), id="old"),
    ],
)
def test_a_connection_that_has_had_its_time(pool: ConnectionPool) -> None:
    """It is closed while nobody asks."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            target = provider.target(pool=pool)
            client.prepare([target])
            assert await ask(client, target) == "1"
            await until(lambda: provider.open == 0 and counts(client, target) == (0, 0, 0))
            assert await ask(client, target) == "2"

    run(scenario)


def test_an_old_connection_finishes_what_it_serves() -> None:
    """And is not used again."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            target = provider.target(pool=ConnectionPool(max_connection_duration_s=0.01))
            client.prepare([target])
            provider.may_answer.clear()
            first = begin(ask(client, target))
            await until(lambda: provider.requests == 1)
            loop = asyncio.get_running_loop()
            end = loop.time() + 0.02
            await until(lambda: loop.time() > end)
            assert provider.open == 1
            provider.may_answer.set()
            assert [await first, await ask(client, target)] == ["1", "2"]

    run(scenario)


def test_whoever_waits_fails_with_the_one_who_connects() -> None:
    """As Envoy does it; one connection is tried for all three, and one timeout waited for."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:  # which speaks no TLS, and says nothing
            pool = ConnectionPool(connect_timeout_s=0.1, max_connections=1)
            target = provider.target(pool=pool, tls=UNVERIFIED)
            client.prepare([target])
            tasks = [begin(ask(client, target)) for _ in range(3)]
            await until(lambda: counts(client, target) == (1, 3, 0))
            await asyncio.wait(tasks)
            assert [failure(task) for task in tasks] == [Failure.CONNECT_TIMEOUT] * 3
            await until(lambda: provider.open == 0)
            assert provider.connections == 1
            assert counts(client, target) == (0, 0, 0)

    run(scenario)


def test_a_request_that_is_given_up() -> None:
    """Its connection is closed, and the next one that waits gets another."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            target = provider.target(pool=ConnectionPool(max_connections=1))
            client.prepare([target])
            provider.may_answer.clear()
            tasks = [begin(ask(client, target)) for _ in range(3)]
            await until(lambda: counts(client, target) == (1, 2, 1))
            tasks[1].cancel()  # while it waits
            tasks[0].cancel()  # while it is served
            await until(lambda: provider.requests == 2)
            provider.may_answer.set()
            assert await tasks[2] == "2"
            assert counts(client, target) == (1, 0, 0)

    run(scenario)


def test_a_request_that_is_given_up_while_it_connects() -> None:
    """Nothing stays."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            target = provider.target(tls=UNVERIFIED)
            client.prepare([target])
            task = begin(ask(client, target))
            await until(lambda: provider.connections == 1)
            assert counts(client, target) == (1, 1, 0)
            task.cancel()
            await until(lambda: counts(client, target) == (0, 0, 0) and provider.open == 0)

    run(scenario)


def test_nobody_there() -> None:
    """A refused connection is not counted any more."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            endpoint = provider.endpoint
        target = Target("a.com", 80, (Endpoint("127.0.0.1", endpoint.port),))
        client.prepare([target])
        with pytest.raises(AttemptFailed) as raised:
            await ask(client, target)
        assert raised.value.failure is Failure.CONNECT_FAILURE
        assert counts(client, target) == (0, 0, 0)

    run(scenario)


def test_retries_are_counted_by_whoever_retries() -> None:
    """Up to the limit."""
    client = UpstreamClient()
    target = Target("a.com", 80, (Endpoint("127.0.0.1", 1),), pool=ConnectionPool(max_retries=1))
    client.prepare([target])
    retries = client.retries(target)
    assert [retries.take(), retries.take()] == [True, False]
    retries.give_back()
    assert client.retries(target).take()


LIMITS = st.builds(
    ConnectionPool,
    max_connections=st.none() | st.integers(1, 3),
    max_pending_requests=st.none() | st.integers(1, 3),
    max_requests=st.none() | st.integers(1, 3),
    max_requests_per_connection=st.integers(0, 2),
)


@settings(max_examples=40, deadline=None)
@given(LIMITS, st.lists(st.tuples(st.sampled_from(["ask", "give up", "answer"]), st.integers(0, 9))))
def test_whatever_happens(pool: ConnectionPool, steps: list[tuple[str, int]]) -> None:
    """Limits hold, every request ends, and in the end nothing is counted but idle connections."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            target = provider.target(pool=pool)
            client.prepare([target])
            provider.may_answer.clear()
            tasks: list[asyncio.Task[str]] = []
            for step, number in steps:
                match step:
                    case "ask":
                        tasks.append(begin(ask(client, target)))
                    case "give up" if tasks:
                        tasks[number % len(tasks)].cancel()
                    case _:
                        provider.may_answer.set()
                for _ in range(number):
                    await asyncio.sleep(0)
                provider.may_answer.clear()
                connections, pending, requests = counts(client, target)
                assert connections <= (pool.max_connections or connections)
                assert pending <= (pool.max_pending_requests or pending)
                assert requests <= (pool.max_requests or requests)
            provider.may_answer.set()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, AttemptFailed):
                    assert outcome.failure is Failure.OVERFLOW
                elif isinstance(outcome, BaseException):
                    assert isinstance(outcome, asyncio.CancelledError)
            await until(lambda: counts(client, target) == (provider.open, 0, 0))
            assert client.active(target, provider.endpoint) == 0

    run(scenario)
