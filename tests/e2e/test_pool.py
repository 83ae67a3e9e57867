"""Connections to providers outlive the clients for whom they were opened."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.background import Background, wait_until
from tests.support.certificates import Authority
from tests.support.clients import JSON, QUESTION, http_client
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Exchange, Provider, gathering, respond
from tests.support.proxy import Proxy, Setting


@pytest.fixture(name="stage")
def running(
    background: Background, authority: Authority, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Proxy, Provider]]:
    """A provider that nobody has called yet; a threshold of 1 makes every failure show."""
    provider = Provider(respond(), authority.issue("primary.test"))
    with background.serving(provider):
        host = Host(name="primary.test", port=provider.port, threshold=1)
        with Proxy(setting, write_mesh(tmp_path_factory.mktemp("pool"), host)) as proxy:
            yield proxy, provider


def ask(proxy: Proxy) -> int:
    """The status that a client with a connection of its own gets."""
    with http_client(proxy) as client:
        return client.post("http://primary.test", content=QUESTION, headers=JSON).status_code


def test_clients_after_each_other_share_a_connection(stage: tuple[Proxy, Provider]) -> None:
    """One TLS handshake serves all of them."""
    proxy, provider = stage
    assert [ask(proxy) for _ in range(5)] == [200] * 5
    assert (provider.hellos, provider.connections) == (1, 1)


def test_requests_at_once_get_a_connection_each(stage: tuple[Proxy, Provider]) -> None:
    """Nobody waits for a free one; later clients use those that are there."""
    proxy, provider = stage
    parallel = 120  # aiohttp's own limit would be 100
    provider.behaviour = gathering(parallel)
    with ThreadPoolExecutor(parallel) as threads:
        answers = list(threads.map(lambda _: ask(proxy), range(parallel)))
    assert answers == [200] * parallel
    assert provider.connections == parallel
    provider.behaviour = respond()
    assert [ask(proxy) for _ in range(3)] == [200] * 3
    assert provider.connections == parallel


def test_an_idle_connection_that_the_provider_closes(stage: tuple[Proxy, Provider]) -> None:
    """It is no failure, and the next request gets a new one."""
    proxy, provider = stage

    async def respond_and_close(exchange: Exchange) -> None:
        await respond()(exchange)
        exchange.close()
        await exchange.hung_up()  # ours is closed as well by then

    provider.behaviour = respond_and_close
    for number in range(3):
        assert ask(proxy) == 200
        wait_until(provider.exchanges[number].ended.is_set, "the connection is closed on both sides")
    assert provider.connections == 3
    assert "ejected" not in proxy.log
