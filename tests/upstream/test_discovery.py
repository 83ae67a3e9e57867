"""The endpoints of a target: written down, or found by the system's resolver."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from llm_fallback.config.snapshot import Target
from llm_fallback.outlier import Endpoint
from llm_fallback.upstream.discovery import REFRESH_S, Discovery, Endpoints

HERE = Endpoint("127.0.0.1", 443)


def named(*names: str) -> Target:
    """A target with `resolution: DNS`."""
    return Target("a.com", 80, tuple(Endpoint(name, 443) for name in names), per_address=True)


class World:
    """A discovery with a clock that stands still, and what it has told; names may be given answers."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[Endpoints] = []
        self.asked: list[str] = []
        self.answers: dict[str, list[str] | OSError] = {}
        self.discovery = Discovery(lambda: self.now, lambda _, endpoints: self.told.append(endpoints))

    def run(self, scenario: Callable[["World"], Coroutine[Any, Any, None]]) -> None:
        """Run it in a loop that knows the answers, and asks the system for all other names."""

        async def main() -> None:
            loop = asyncio.get_running_loop()
            systems = loop.getaddrinfo

            async def getaddrinfo(host: str, port: int, **rest: Any) -> list[Any]:
                self.asked.append(host)
                await asyncio.sleep(0)
                answer = self.answers.get(host)
                if isinstance(answer, OSError):
                    raise answer
                if answer is None:
                    return list(await systems(host, port, **rest))
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer]

            loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign, assignment]
            await scenario(self)

        asyncio.run(main())


def addresses(*names: str) -> Endpoints:
    return tuple(Endpoint(name, 443) for name in names)


def test_endpoints_that_are_written_down() -> None:
    """They are what they are; nobody is asked."""
    target = Target("a.com", 80, addresses("b.com"))

    async def scenario(world: World) -> None:
        assert await world.discovery.endpoints(target) == target.endpoints

    world = World()
    world.run(scenario)
    assert (world.asked, world.told) == ([], [])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("127.0.0.1", (HERE,), id="an-address"),
        pytest.param("::1", (Endpoint("::1", 443),), id="an-ipv6-address"),
        pytest.param("no-such-name.invalid", (), id="no-such-name"),
        pytest.param("a" * 64 + ".com", (), id="a-label-too-long-for-dns"),
        pytest.param("a..com", (), id="an-empty-label"),
    ],
)
def test_the_systems_resolver(name: str, found: Endpoints) -> None:
    """What it says of names that need no network."""

    async def scenario(world: World) -> None:
        assert await world.discovery.endpoints(named(name)) == found

    World().run(scenario)


def test_localhost() -> None:
    """A name's addresses, each of them once."""

    async def scenario(world: World) -> None:
        found = await world.discovery.endpoints(named("localhost", "localhost", "127.0.0.1"))
        assert HERE in found
        assert len(set(found)) == len(found)
        assert world.told == [found]

    World().run(scenario)


def test_an_answer_counts_for_a_while() -> None:
    """Then the old one is used once more, while the new one is on its way."""

    async def scenario(world: World) -> None:
        world.answers["b.com"] = ["10.0.0.1", "10.0.0.2"]
        target = named("b.com")
        assert await world.discovery.endpoints(target) == addresses("10.0.0.1", "10.0.0.2")
        world.answers["b.com"] = ["10.0.0.2", "10.0.0.3"]
        world.now += REFRESH_S - 0.001
        assert await world.discovery.endpoints(target) == addresses("10.0.0.1", "10.0.0.2")
        assert world.asked == ["b.com"]

        world.now += 0.001
        for _ in range(2):  # the second of which does not ask again
            assert await world.discovery.endpoints(target) == addresses("10.0.0.1", "10.0.0.2")
        await others(world)

        assert await world.discovery.endpoints(target) == addresses("10.0.0.2", "10.0.0.3")
        assert world.asked == ["b.com", "b.com"]
        assert world.told == [addresses("10.0.0.1", "10.0.0.2"), addresses("10.0.0.2", "10.0.0.3")]

    World().run(scenario)


def test_requests_at_once_ask_once() -> None:
    """And one that is cancelled takes nothing from the others."""

    async def scenario(world: World) -> None:
        world.answers["b.com"] = ["10.0.0.1"]
        target = named("b.com")
        waiting = [asyncio.create_task(world.discovery.endpoints(target)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert answers[1:] == [addresses("10.0.0.1")] * 2
        assert world.asked == ["b.com"]

    World().run(scenario)


@pytest.mark.parametrize(
    ("error", "then"),
    [
        pytest.param(socket.gaierror(socket.EAI_AGAIN, "no server"), addresses("10.0.0.1"), id="nobody-says"),
        pytest.param(socket.gaierror(socket.EAI_NONAME, "no such name"), (), id="the-name-is-gone"),
    ],
)
def test_a_failure_after_an_answer(error: OSError, then: Endpoints) -> None:
    """A resolver that does not answer changes nothing; a name that is gone has no endpoints."""

    async def scenario(world: World) -> None:
        world.answers["b.com"] = ["10.0.0.1"]
        target = named("b.com")
        await world.discovery.endpoints(target)
        world.answers["b.com"] = error
        world.now += REFRESH_S
        await world.discovery.endpoints(target)
        await others(world)
        assert await world.discovery.endpoints(target) == then

    World().run(scenario)


def test_one_name_of_two_that_nobody_can_tell() -> None:
    """The other one's addresses are used."""

    async def scenario(world: World) -> None:
        world.answers["b.com"] = socket.gaierror(socket.EAI_AGAIN, "no server")
        world.answers["c.com"] = ["10.0.0.1"]
        assert await world.discovery.endpoints(named("b.com", "c.com")) == addresses("10.0.0.1")

    World().run(scenario)


def test_a_reload_keeps_what_is_known() -> None:
    """Of targets that stay, by host, port and endpoints; of the others it is forgotten."""

    async def scenario(world: World) -> None:
        world.answers["b.com"] = ["10.0.0.1"]
        await world.discovery.endpoints(named("b.com"))
        world.discovery.adopt([named("b.com")])
        await world.discovery.endpoints(named("b.com"))
        assert world.asked == ["b.com"]
        world.discovery.adopt([named("c.com")])
        await world.discovery.endpoints(named("b.com"))
        assert world.asked == ["b.com", "b.com"]

    World().run(scenario)


async def others(world: World) -> None:
    """Let the lookup that is under way come to its end."""
    await asyncio.gather(*world.discovery._lookups.values())
