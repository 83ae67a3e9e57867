"""A client that hangs up ends everything that is done for it, and nothing is counted; a loser ends alike."""

import socket
from collections.abc import Iterator

import pytest

from tests.support import answers
from tests.support.background import Background, wait_until
from tests.support.certificates import Authority
from tests.support.clients import Http2Connection, connect, http_client, request_bytes
from tests.support.provider import SSE_HEAD, Behaviour, Exchange, Feed, Provider, chunk, hang, respond
from tests.support.proxy import Setting
from tests.support.rescued import PRIMARY, SAID_BY_FALLBACK, STREAM, URL, WHOLE, Mesh, Targets, rescuing

PROMPTLY_S = 15.0
HEDGE_S = 5.0


@pytest.fixture(scope="module", name="targets")
def running(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Targets]:
    """With a threshold of 1, a failure that counts would show in the next answer."""
    mesh = Mesh(primary=answers.good(), threshold=1, ejection="100ms")
    with rescuing(mesh, background, authority, setting, tmp_path_factory.mktemp("one")) as targets:
        yield targets


@pytest.fixture(scope="module", name="hedged")
def hedging(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Targets]:
    """The fallback is asked as well after a while."""
    mesh = Mesh(
        primary=answers.good(),
        threshold=1,
        spec={"hedging": {"delay": f"{HEDGE_S}s"}, "chain": [{"host": "third.test"}]},
    )
    with rescuing(mesh, background, authority, setting, tmp_path_factory.mktemp("both")) as targets:
        yield targets


async def role_only(exchange: Exchange) -> None:
    """Begin an answer that says nothing."""
    await exchange.send(SSE_HEAD + chunk(answers.events()[0]))
    await exchange.hung_up()


HOLDING = {"headers": hang, "first-token": role_only}


def assert_ended(provider: Provider, number: int) -> None:
    """The provider sees the connection of its exchange closed."""
    exchange = provider.exchanges[number]
    wait_until(exchange.ended.is_set, "the provider's connection is closed", within_s=PROMPTLY_S)


def ejections(targets: Targets) -> list[str]:
    """The log's lines about ejections."""
    return [line for line in targets.proxy.lines if "] ejected " in line]


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("label", HOLDING)
@pytest.mark.parametrize("is_second", [False, True], ids=["primary", "fallback"])
def test_a_client_that_hangs_up(targets: Targets, label: str, *, http2: bool, is_second: bool) -> None:
    """While its request waits for the first target or for the second."""
    wait_until(lambda: _is_back(targets), "the primary is in rotation")
    before = len(ejections(targets))
    told = len(targets.proxy.requests())
    targets.primary.behaviour = respond(429, b"no") if is_second else HOLDING[label]
    targets.fallback.behaviour = HOLDING[label] if is_second else answers.good(SAID_BY_FALLBACK)
    waiting = targets.fallback if is_second else targets.primary
    idle = targets.primary if is_second else targets.fallback
    number, asked = len(waiting.exchanges), len(idle.exchanges)
    leave_when(targets, waiting, number, http2=http2)
    assert_ended(waiting, number)
    wait_until(lambda: len(targets.proxy.requests()) > told, "the log tells of it")
    assert " | no answer DC in " in targets.proxy.requests()[told]
    assert len(idle.exchanges) == asked + is_second
    assert [f"] ejected {PRIMARY}:" in line for line in ejections(targets)[before:]] == [True] * is_second
    wait_until(lambda: _is_back(targets), "the primary is in rotation again")
    targets.primary.behaviour = answers.good()
    with http_client(targets.proxy) as client:
        assert client.post(URL, content=WHOLE).headers["x-llm-fallback-host"] == PRIMARY


def _is_back(targets: Targets) -> bool:
    ended = [line for line in targets.proxy.lines if "] returned " in line]
    return len(ended) == len(ejections(targets))


def leave_when(targets: Targets, provider: Provider, number: int, *, http2: bool) -> None:
    """Ask, and leave as soon as the provider has the request."""
    if http2:
        with Http2Connection(targets.proxy, PRIMARY) as connection:
            stream = connection.post(STREAM, "/v1/chat/completions")
            wait_until(lambda: len(provider.exchanges) > number, "the provider has the request")
            connection.cancel(stream)
            assert_ended(provider, number)
        return
    with connect(targets.proxy.port) as sock:
        sock.sendall(request_bytes(URL, PRIMARY, STREAM))
        wait_until(lambda: len(provider.exchanges) > number, "the provider has the request")
        sock.shutdown(socket.SHUT_RDWR)


def test_hedging_asks_the_next_and_cancels_the_loser(hedged: Targets) -> None:
    """The primary is silent; the answer is the fallback's, and the primary sees its connection closed."""
    hedged.primary.behaviour = role_only
    hedged.fallback.behaviour = answers.good(SAID_BY_FALLBACK)
    number = len(hedged.primary.exchanges)
    with http_client(hedged.proxy) as client:
        answer = client.post(URL, content=STREAM)
    assert answer.content == b"".join(answers.events(SAID_BY_FALLBACK))
    assert_ended(hedged.primary, number)
    assert ejections(hedged) == []


def test_the_first_good_answer_wins(background: Background, hedged: Targets) -> None:
    """The primary comes to it after all: the fallback is the loser, and the third is not asked."""
    feed, asked = Feed(background), len(hedged.third.exchanges)
    hedged.primary.behaviour = feed
    hedged.fallback.behaviour = _releasing(feed)
    number = len(hedged.fallback.exchanges)
    with http_client(hedged.proxy) as client:
        answer = client.post(URL, content=STREAM)
    assert answer.headers["x-llm-fallback-host"] == PRIMARY
    assert answer.content == b"".join(answers.events())
    assert_ended(hedged.fallback, number)
    assert len(hedged.third.exchanges) == asked
    assert ejections(hedged) == []


def _releasing(feed: Feed) -> Behaviour:
    """Have the feed answer as soon as this provider has been asked; say nothing."""

    async def behave(exchange: Exchange) -> None:
        feed.send(SSE_HEAD)
        for event in answers.events():
            feed.event(event)
        feed.event(b"")
        feed.done()
        await exchange.hung_up()

    return behave


def test_a_prompt_answer_is_not_hedged(hedged: Targets) -> None:
    """Nobody else is asked while there is no need to."""
    hedged.primary.behaviour = answers.good()
    asked = len(hedged.fallback.exchanges)
    with http_client(hedged.proxy) as client:
        for _ in range(5):
            assert client.post(URL, content=STREAM).headers["x-llm-fallback-host"] == PRIMARY
    assert len(hedged.fallback.exchanges) == asked


def test_a_client_that_hangs_up_leaves_neither(hedged: Targets) -> None:
    """Both the first and the hedge see their connections closed."""
    hedged.primary.behaviour = hedged.fallback.behaviour = role_only
    first, second = len(hedged.primary.exchanges), len(hedged.fallback.exchanges)
    with connect(hedged.proxy.port) as sock:
        sock.sendall(request_bytes(URL, PRIMARY, STREAM))
        wait_until(lambda: len(hedged.fallback.exchanges) > second, "the fallback has the request")
    assert_ended(hedged.primary, first)
    assert_ended(hedged.fallback, second)
    assert ejections(hedged) == []
