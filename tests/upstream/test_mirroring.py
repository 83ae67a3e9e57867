"""Copies for those who only watch."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from llm_fallback.config.snapshot import Provider, Target
from llm_fallback.messages import Outgoing
from llm_fallback.retry import Failure
from llm_fallback.upstream.client import BodyBroken, UpstreamClient
from llm_fallback.upstream.mirroring import as_copy, send_copy
from tests.upstream import provider
from tests.upstream.virtual_time import run
from tests.upstream.world import EJECTS, SILENCE, Reply, World, target

WATCHED = target(outlier=EJECTS)


def chat(host: str) -> Outgoing:
    return Outgoing("POST", "/chat", (("Host", host), ("X-A", "1")), b"{}", None)


@pytest.mark.parametrize(
    ("host", "marked"),
    [
        pytest.param("a.com", "a.com-shadow", id="host"),
        pytest.param("a.com:8080", "a.com-shadow:8080", id="host-and-port"),
    ],
)
def test_copies_are_marked(host: str, marked: str) -> None:
    """Envoy's `-shadow` goes before the port; a provider gets its own name, or would refuse the request."""
    provider = replace(WATCHED, provider=Provider("a"))

    assert sorted(as_copy(chat(host), WATCHED).headers) == [("Host", marked), ("X-A", "1")]
    assert as_copy(chat(host), provider).headers == chat(host).headers


def copied(to: Target, *script: Reply | int | Failure, timeout_s: float | None = None) -> World:
    """What became of a copy."""

    async def main(clock: Callable[[], float]) -> World:
        world = World(clock, [to], None)
        world.replies(*script)
        await send_copy(world, to, chat("a.com"), timeout_s)
        return world

    return run(main)


@pytest.mark.parametrize(
    ("reply", "is_ejected"),
    [
        pytest.param(Reply(200, (), (b"a", 5.0, b"b")), False, id="read-to-its-end"),
        pytest.param(500, True, id="500"),
        pytest.param(Failure.CONNECT_FAILURE, True, id="refused"),
        pytest.param(SILENCE, True, id="timeout"),
        pytest.param(Reply(200, (), (b"a", 99.0)), False, id="timeout-after-headers"),
    ],
)
def test_a_copy_is_sent_once(reply: Reply | int | Failure, *, is_ejected: bool) -> None:
    """It counts for its endpoint, is never tried again, and takes no longer than the rule's timeout."""
    world = copied(WATCHED, reply, 200, timeout_s=10.0)

    assert [sent.header("host") for sent in world.sent] == ["a.com-shadow"]
    assert world.health_changes == (["-a.com:80"] if is_ejected else [])
    assert all(response.is_released for response in world.responses)
    assert world.clock() <= 10.001


def test_a_copy_whose_answer_breaks() -> None:
    """Nobody gets to hear of it."""
    world = copied(WATCHED, Reply(200, (), (b"a", BodyBroken())))

    assert (len(world.responses), world.announced, world.handled_events) == (1, [], [])
    assert world.responses[0].is_released


def test_a_copy_whose_answer_is_malformed() -> None:
    """It is over, without a timeout, too."""

    async def scenario(client: UpstreamClient) -> None:
        async with provider.Provider() as watching:
            watching.raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
            target = watching.target()
            client.prepare([target])
            world = World(asyncio.get_running_loop().time, [target], None)
            world.client = client
            copy = asyncio.create_task(send_copy(world, target, chat("a.com"), None))
            await provider.until(lambda: watching.answers == 1)
            watching.say(b"ZZ\r\n")
            await copy
            await provider.until(lambda: watching.open == 0)
            assert provider.counts(client, target) == (0, 0, 0)

    provider.run(scenario)
