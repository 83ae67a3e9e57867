"""The endpoints of a target: written down, or found by the system's resolver."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from llm_fallback.config.snapshot import Target
from llm_fallback.outlier import Endpoint
from llm_fallback.upstream.discovery import REFRESH_S, Discovery, Endpoints
from tests.upstream import virtual_time

HERE = Endpoint("127.0.0.1", 443)


def named(*names: str, weights: tuple[int, ...] = (), subset: str | None = None) -> Target:
    """A target with `resolution: DNS`."""
    endpoints = tuple(Endpoint(name, 443) for name in names)
    return Target("a.com", 80, endpoints, subset, weights, per_address=True)


class World:
    """A discovery, and what it has told; names may be given answers, and addresses that lead nowhere."""

    def __init__(self) -> None:
        self.told: list[Endpoints] = []
        self.asked: list[str] = []
        self.answers: dict[str, list[str] | OSError] = {}
        self.out_of_reach: dict[str, list[str]] = {}
        self.discovery = Discovery(lambda _, endpoints: self.told.append(endpoints))

    def run(self, scenario: Callable[["World"], Coroutine[Any, Any, None]]) -> None:
        """Run it in a loop that knows the answers, where nobody waits, or else asks the system."""

        async def main() -> None:
            loop = asyncio.get_running_loop()
            systems = loop.getaddrinfo

            async def getaddrinfo(host: str, port: int, *, flags: int = 0, **rest: Any) -> list[Any]:
                self.asked.append(host)
                await asyncio.sleep(0)
                if not self.answers:
                    return list(await systems(host, port, flags=flags, **rest))
                answer = self.answers[host]
                if host in self.out_of_reach and not flags & socket.AI_ADDRCONFIG:
                    answer = [*(answer if isinstance(answer, list) else []), *self.out_of_reach[host]]
                if isinstance(answer, OSError):
                    raise answer
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer]

            loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign, assignment]
            await scenario(self)
            self.discovery.close()

        if self.answers:
            virtual_time.run(lambda _: main())
        else:
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
        target = named("localhost", "localhost", "127.0.0.1")
        world.discovery.adopt([target])
        found = await world.discovery.endpoints(target)
        assert HERE in found
        assert len(set(found)) == len(found)
        assert world.told == [found]

    World().run(scenario)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        pytest.param(["10.0.0.1"], ("10.0.0.1",), id="some-can"),
        pytest.param(socket.gaierror(socket.EAI_NONAME, "not here"), ("::1",), id="none-can"),
    ],
)
def test_addresses_that_this_machine_has_no_way_to(
    answer: list[str] | OSError, found: tuple[str, ...]
) -> None:
    """They are no endpoints, unless there are no others: the machine itself is always within reach."""
    world = World()
    world.answers["b.com"] = answer
    world.out_of_reach["b.com"] = ["::1"]

    async def scenario(world: World) -> None:
        assert await world.discovery.endpoints(named("b.com")) == addresses(*found)

    world.run(scenario)


def test_a_resolver_that_does_not_answer_is_asked_once() -> None:
    """It would be as silent again."""
    world = World()
    world.answers["b.com"] = socket.gaierror(socket.EAI_AGAIN, "no server")

    async def scenario(world: World) -> None:
        assert await world.discovery.endpoints(named("b.com")) == ()
        assert world.asked == ["b.com"]

    world.run(scenario)


def test_dns_is_asked_again_and_again() -> None:
    """Whether there are requests or not; nobody waits for the new answer, which is told."""
    world = World()
    world.answers["b.com"] = ["10.0.0.1", "10.0.0.2"]
    target = named("b.com")

    async def scenario(world: World) -> None:
        world.discovery.adopt([target])
        assert await world.discovery.endpoints(target) == addresses("10.0.0.1", "10.0.0.2")
        world.answers["b.com"] = ["10.0.0.2", "10.0.0.3"]
        await asyncio.sleep(REFRESH_S - 0.1)
        assert world.asked == ["b.com"]
        assert await world.discovery.endpoints(target) == addresses("10.0.0.1", "10.0.0.2")
        await asyncio.sleep(0.2)
        assert await world.discovery.endpoints(target) == addresses("10.0.0.2", "10.0.0.3")
        await asyncio.sleep(3 * REFRESH_S)
        assert world.asked == ["b.com"] * 5
        assert world.told == [addresses("10.0.0.1", "10.0.0.2"), addresses("10.0.0.2", "10.0.0.3")]

    world.run(scenario)


def test_the_first_answer_is_there_before_the_first_request() -> None:
    """It is asked for when the configuration is read."""
    world = World()
    world.answers["b.com"] = ["10.0.0.1"]

    async def scenario(world: World) -> None:
        world.discovery.adopt([named("b.com"), Target("c.com", 80, addresses("c.com"))])
        await asyncio.sleep(0.1)
        assert world.told == [addresses("10.0.0.1")]
        assert world.asked == ["b.com"]

    world.run(scenario)


def test_a_configuration_that_is_read_before_there_is_a_loop() -> None:
    """The first request asks, and from then on it is asked again."""
    world = World()
    world.answers["b.com"] = ["10.0.0.1"]
    world.discovery.adopt([named("b.com")])

    async def scenario(world: World) -> None:
        assert await world.discovery.endpoints(named("b.com")) == addresses("10.0.0.1")
        await asyncio.sleep(REFRESH_S + 0.1)
        assert world.asked == ["b.com"] * 2

    world.run(scenario)


def test_nobody_asks_after_the_end() -> None:
    """Not even those who were about to."""
    world = World()
    world.answers["b.com"] = ["10.0.0.1"]

    async def scenario(world: World) -> None:
        world.discovery.adopt([named("b.com")])
        world.discovery.close()
        await asyncio.sleep(3 * REFRESH_S)
        assert (world.asked, world.told) == ([], [])

    world.run(scenario)


def test_requests_at_once_ask_once() -> None:
    """And one that is cancelled takes nothing from the others."""
    world = World()
    world.answers["b.com"] = ["10.0.0.1"]

    async def scenario(world: World) -> None:
        target = named("b.com")
        waiting = [asyncio.create_task(world.discovery.endpoints(target)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert answers[1:] == [addresses("10.0.0.1")] * 2
        assert world.asked == ["b.com"]

    world.run(scenario)


@pytest.mark.parametrize(
    ("error", "then"),
    [
        pytest.param(socket.gaierror(socket.EAI_AGAIN, "no server"), addresses("10.0.0.1"), id="nobody-says"),
        pytest.param(socket.gaierror(socket.EAI_NONAME, "no such name"), (), id="the-name-is-gone"),
    ],
)
def test_a_failure_after_an_answer(error: OSError, then: Endpoints) -> None:
    """A resolver that does not answer changes nothing; a name that is gone has no endpoints."""

    world = World()
    world.answers["b.com"] = ["10.0.0.1"]
    world.answers["c.com"] = ["10.0.1.1"]

    async def scenario(world: World) -> None:
        target = named("b.com", "c.com")
        world.discovery.adopt([target])
        await world.discovery.endpoints(target)
        world.answers["b.com"] = error
        world.answers["c.com"] = ["10.0.1.2"]
        await asyncio.sleep(REFRESH_S + 0.1)
        assert await world.discovery.endpoints(target) == (*then, *addresses("10.0.1.2"))

    world.run(scenario)


def test_one_name_of_two_that_nobody_can_tell() -> None:
    """The other one's addresses are used."""
    world = World()
    world.answers["b.com"] = socket.gaierror(socket.EAI_AGAIN, "no server")
    world.answers["c.com"] = ["10.0.0.1"]

    async def scenario(world: World) -> None:
        assert await world.discovery.endpoints(named("b.com", "c.com")) == addresses("10.0.0.1")

    world.run(scenario)


def test_a_reload_keeps_what_is_known() -> None:
    """Of targets that stay, by host, port, subset and endpoints; of the others it is forgotten."""
    world = World()
    world.answers |= {"b.com": ["10.0.0.1"], "c.com": ["10.0.0.2"]}

    async def scenario(world: World) -> None:
        world.discovery.adopt([named("b.com")])
        await asyncio.sleep(0.1)
        world.discovery.adopt([named("b.com"), named("b.com", subset="v2")])
        await asyncio.sleep(0.1)
        assert world.asked == ["b.com", "b.com"]
        assert world.told == [addresses("10.0.0.1")] * 2
        world.discovery.adopt([named("c.com")])
        await asyncio.sleep(2 * REFRESH_S + 0.1)
        assert world.asked == ["b.com", "b.com", "c.com", "c.com", "c.com"]

    world.run(scenario)


def test_an_exchange_that_outlives_its_configuration() -> None:
    """It is answered, and nothing is kept of it."""
    world = World()
    world.answers["b.com"] = ["10.0.0.1"]

    async def scenario(world: World) -> None:
        for _ in range(2):
            assert await world.discovery.endpoints(named("b.com")) == addresses("10.0.0.1")
        assert world.asked == ["b.com", "b.com"]
        assert world.told == []

    world.run(scenario)


def test_weights() -> None:
    """Those that are written down; every address of a name has the name's."""
    world = World()
    world.answers |= {"b.com": ["10.0.0.1", "10.0.0.2"], "c.com": ["10.0.0.2", "10.0.0.3"]}

    async def scenario(world: World) -> None:
        target = named("b.com", "c.com", weights=(3, 5))
        world.discovery.adopt([target])
        found = await world.discovery.endpoints(target)
        assert [world.discovery.weight(target, endpoint) for endpoint in found] == [3, 3, 5]
        world.answers["b.com"] = ["10.0.0.4"]
        await asyncio.sleep(REFRESH_S + 0.1)
        found = await world.discovery.endpoints(target)
        assert [world.discovery.weight(target, endpoint) for endpoint in found] == [3, 5, 5]

    world.run(scenario)
    fixed = Target("a.com", 80, addresses("10.0.0.1", "10.0.0.2"), weights=(0, 7))
    assert [world.discovery.weight(fixed, endpoint) for endpoint in fixed.endpoints] == [1, 7]
    alike = Target("a.com", 80, addresses("10.0.0.1"))
    assert world.discovery.weight(alike, alike.endpoints[0]) == 1
