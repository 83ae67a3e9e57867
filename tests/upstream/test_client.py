"""Connections across reloads, and what a request learns on its way."""

import asyncio
from dataclasses import replace

import pytest

from llm_fallback.config.snapshot import ConnectionPool, Target
from llm_fallback.upstream.client import UpstreamClient
from tests.upstream.provider import GET, Provider, ask, counts, run, target, until


def test_a_target_that_stays_keeps_its_connections() -> None:
    """For its new form and for exchanges that still have the old one."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            before, after = provider.target(), provider.target()
            client.prepare([before])
            await ask(client, before)
            client.prepare([after])
            assert [await ask(client, each) for each in (after, before)] == ["1", "1"]
            assert counts(client, after) == counts(client, before) == (1, 0, 0)

    run(scenario)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"pool": ConnectionPool(max_connections=5)}, id="other-limits"),
        pytest.param({"subset": "v2"}, id="another-subset"),
        pytest.param({"endpoints": ()}, id="no-endpoint-any-more"),
    ],
)
def test_a_target_that_changes_gets_new_connections(changes: dict[str, object]) -> None:
    """Idle ones are closed at once, others when their request ends; a retry of that has one of its own."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            before = provider.target()
            after: Target = replace(before, **changes)  # type: ignore[arg-type]
            client.prepare([before])
            await asyncio.gather(*(ask(client, before) for _ in range(2)))
            provider.may_answer.clear()
            in_flight = asyncio.create_task(ask(client, before))
            await until(lambda: provider.requests == 3)
            client.prepare([after])
            await until(lambda: provider.open == 1)
            provider.may_answer.set()
            assert await in_flight in "12"
            await until(lambda: provider.open == 0)
            assert await ask(client, before) == "3"
            await until(lambda: provider.open == 0)
            assert await ask(client, after, provider.endpoint) == "4"
            assert await ask(client, after, provider.endpoint) == "4"

    run(scenario)


def test_an_endpoint_that_goes() -> None:
    """Its connections are closed; those to the others stay."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as gone, Provider() as kept:
            both = target(gone, kept)
            client.prepare([both])
            for provider in (gone, kept):
                await ask(client, both, provider.endpoint)
            client.keep_only(both, [kept.endpoint])
            await until(lambda: gone.open == 0)
            assert kept.open == 1

    run(scenario)


def test_the_end_closes_everything() -> None:
    """Connections of all targets."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as one, Provider() as other:
            targets = [one.target(), replace(other.target(), subset="v2")]
            client.prepare(targets)
            for each in targets:
                await ask(client, each)
            client.close()
            await until(lambda: one.open == other.open == 0)

    run(scenario)


def test_a_request_is_told_when_it_has_a_connection() -> None:
    """A new one, or one that was idle; not before."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            target = provider.target(pool=ConnectionPool(max_connections=1))
            client.prepare([target])
            provider.may_answer.clear()
            told: list[str] = []
            for name in ("first", "second"):
                request = client.send(target, provider.endpoint, GET, lambda name=name: told.append(name))  # type: ignore[misc]
                task = asyncio.create_task(request)
                task.add_done_callback(lambda done: done.result().release())
            await until(lambda: counts(client, target) == (1, 1, 1))
            assert told == ["first"]
            provider.may_answer.set()
            await until(lambda: told == ["first", "second"])

    run(scenario)
