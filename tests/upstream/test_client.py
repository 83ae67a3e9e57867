"""Connections across reloads, and what a request learns on its way."""

import asyncio
from dataclasses import replace

import pytest

from llm_fallback.config.snapshot import ConnectionPool, Target
from llm_fallback.retry import Failure
from llm_fallback.upstream.client import AttemptFailed, BodyBroken, UpstreamClient
from tests.upstream.provider import GET, Provider, ask, counts, run, send, target, until


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


def test_an_answer_that_turns_out_malformed() -> None:
    """It breaks at once, though the provider stays; what has come is there, and the connection is gone."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            provider.raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n"
            target = provider.target()
            client.prepare([target])
            response = await send(client, target)
            assert (response.status, response.read_ready(), response.is_complete) == (200, b"", False)
            with pytest.raises(BodyBroken):
                await response.read()
            assert response.read_rest() == b"hello"
            response.release()
            await until(lambda: provider.open == 0)
            assert counts(client, target) == (0, 0, 0)

    run(scenario)


def test_an_answer_with_more_after_it() -> None:
    """It is whole, and the next request has another connection."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            provider.raw = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhellomore"
            target = provider.target()
            client.prepare([target])
            assert [await ask(client, target), await ask(client, target)] == ["hello", "hello"]
            assert provider.connections == 2

    run(scenario)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param("transfer-encoding: rot13", id="unknown"),
        pytest.param("transfer-encoding: gzip, chunked", id="compressed"),
        pytest.param("content-length: 5\r\ncontent-length: 6", id="two-lengths"),
        pytest.param("x: " + "y" * 100_000, id="a-long-header"),
        pytest.param("\r\n".join(["x: y"] * 150), id="many-headers"),
        pytest.param("no field", id="no-header"),
    ],
)
def test_an_answer_that_nobody_can_read(fields: str) -> None:
    """A protocol error, as in Envoy; the request is over."""

    async def scenario(client: UpstreamClient) -> None:
        async with Provider() as provider:
            provider.raw = f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n5\r\nhello\r\n0\r\n\r\n".encode()
            target = provider.target()
            client.prepare([target])
            with pytest.raises(AttemptFailed) as raised:
                await send(client, target)
            assert raised.value.failure is Failure.PROTOCOL_ERROR
            assert counts(client, target)[1:] == (0, 0)

    run(scenario)
