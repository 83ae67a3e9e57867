"""A client that leaves frees the provider at once, and proves nothing about it."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.background import Background, wait_until
from tests.support.certificates import Authority
from tests.support.clients import QUESTION, Http2Connection, ask, connect, request_bytes
from tests.support.mesh import Host, write_mesh
from tests.support.provider import SSE_HEAD, Behaviour, Exchange, Provider, chunk, hang, respond
from tests.support.proxy import Proxy, Setting
from tests.support.saved import read_flows

PROMPTLY_S = 15.0
EVENT = b"data: 1\n\n"


async def stream_and_wait(exchange: Exchange) -> None:
    """Send one event, and nothing more."""
    await exchange.send(SSE_HEAD + chunk(EVENT))
    await exchange.hung_up()


class Stage:
    """A proxy with a threshold of 1, so that a failure would show in the next answer."""

    def __init__(self, proxy: Proxy, primary: Provider, fallback: Provider) -> None:
        self.proxy = proxy
        self.primary = primary
        self.fallback = fallback

    def assert_freed(self, earlier: int) -> None:
        """The provider sees its connection closed, the log tells why, and the primary stays in rotation."""
        exchange = self.primary.exchanges[earlier]
        wait_until(exchange.ended.is_set, "the provider's connection is closed", within_s=PROMPTLY_S)
        wait_until(lambda: len(self.told()) == 1, "the log tells of the hang-up")
        self.primary.behaviour = respond(200, b"the primary")
        assert ask(self.proxy, "http://primary.test").body == b"the primary"
        assert not self.fallback.requests
        assert "ejected" not in self.proxy.log

    def told(self) -> list[str]:
        """The log's lines about clients that left."""
        return [line for line in self.proxy.requests()[self.before :] if " DC in " in line]

    def begin(self, behaviour: Behaviour) -> int:
        """Set the primary's behaviour; the number of its next exchange."""
        self.primary.behaviour = behaviour
        self.before = len(self.proxy.requests())
        return len(self.primary.exchanges)


@pytest.fixture(scope="module", name="stage")
def running(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """A primary and its fallback."""
    primary = Provider(hang, authority.issue("primary.test"))
    fallback = Provider(respond(200, b"the fallback"), authority.issue("fallback.test"))
    with ExitStack() as stack:
        stack.enter_context(background.serving(primary))
        stack.enter_context(background.serving(fallback))
        config = write_mesh(
            tmp_path_factory.mktemp("hang-up"),
            Host(name="primary.test", port=primary.port, threshold=1, fallback="fallback.test"),
            Host(name="fallback.test", port=fallback.port),
        )
        yield Stage(stack.enter_context(Proxy(setting, config)), primary, fallback)


def test_a_saved_flow_tells_of_it(background: Background, setting: Setting, tmp_path: Path) -> None:
    """What was asked of whom until then and, of a stream, when its pieces came."""
    provider = Provider(hang)
    with background.serving(provider):
        config = write_mesh(tmp_path, Host(name="slow.test", port=provider.port, tls=False))
        saved = tmp_path / "flows.mitm"
        with Proxy(setting, config, "-w", str(saved)) as proxy:
            for number, behaviour in enumerate((hang, stream_and_wait)):
                provider.behaviour = behaviour
                with connect(proxy.port) as sock:
                    sock.sendall(request_bytes("http://slow.test/", "slow.test", QUESTION.encode()))
                    wait_until(lambda: len(provider.exchanges) == number + 1, "the provider is asked")  # noqa: B023
                    if behaviour is stream_and_wait:
                        assert sock.recv(4096)
                wait_until(lambda: len(proxy.requests()) == number + 1, "the hang-up is told of")  # noqa: B023
    given_up, broken_off = read_flows(saved)
    assert given_up.comment.startswith("default -> slow.test:80 | 127.0.0.1:")
    assert ": cancelled in " in given_up.comment
    assert " | no answer DC" in given_up.comment
    assert given_up.marked == ":hourglass:"
    decision = given_up.metadata["llm_fallback"]
    assert (decision["result"], len(decision["attempts"])) == ("given up", 1)
    assert " | 200 DC" in broken_off.comment
    assert [size for _, size in broken_off.metadata["llm_fallback"]["arrivals"]] == [len(EVENT)]


def close(sock: socket.socket) -> None:
    """Leave in an orderly way."""
    sock.close()


def reset(sock: socket.socket) -> None:
    """Leave with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("leave", [close, reset])
def test_while_it_waits_for_headers(stage: Stage, leave: Callable[[socket.socket], None]) -> None:
    """HTTP/1: the connection ends before there is an answer."""
    number = stage.begin(hang)
    with connect(stage.proxy.port) as sock:
        sock.sendall(request_bytes("http://primary.test/", "primary.test", QUESTION.encode()))
        wait_until(lambda: len(stage.primary.exchanges) > number, "the provider has the request")
        leave(sock)
    stage.assert_freed(number)
    assert " | no answer DC in " in stage.told()[0]


@pytest.mark.parametrize("leave", [close, reset])
def test_in_the_middle_of_a_stream(stage: Stage, leave: Callable[[socket.socket], None]) -> None:
    """HTTP/1: the connection ends between two events."""
    number = stage.begin(stream_and_wait)
    with connect(stage.proxy.port) as sock:
        sock.sendall(request_bytes("http://primary.test/", "primary.test", QUESTION.encode()))
        received = b""
        while EVENT not in received:
            received += sock.recv(65536)
        leave(sock)
    stage.assert_freed(number)
    assert " | 200 DC in " in stage.told()[0]


@pytest.mark.parametrize("behaviour", [hang, stream_and_wait])
def test_an_http2_client_that_cancels(stage: Stage, behaviour: Behaviour) -> None:
    """HTTP/2: RST_STREAM ends that stream; the connection and its other streams go on."""
    number = stage.begin(behaviour)
    with Http2Connection(stage.proxy, "primary.test") as client:
        stream = client.post(QUESTION.encode())
        wait_until(lambda: len(stage.primary.exchanges) > number, "the provider has the request")
        if behaviour is stream_and_wait:
            client.read_until(stream, EVENT)
        client.cancel(stream)
        stage.assert_freed(number)
        client.read_until(client.post(QUESTION.encode()), b"the primary")


@pytest.mark.parametrize("behaviour", [hang, stream_and_wait])
def test_an_http2_client_that_leaves(stage: Stage, behaviour: Behaviour) -> None:
    """HTTP/2: the whole connection ends, and with it every stream."""
    number = stage.begin(behaviour)
    with Http2Connection(stage.proxy, "primary.test") as client:
        client.post(QUESTION.encode())
        wait_until(lambda: len(stage.primary.exchanges) > number, "the provider has the request")
    stage.assert_freed(number)


@pytest.mark.parametrize("behaviour", [hang, stream_and_wait])
def test_an_http2_client_that_cancels_at_once(stage: Stage, behaviour: Behaviour) -> None:
    """HTTP/2: RST_STREAM in one write with the request's end; whatever was begun for it is given up."""
    number = stage.begin(behaviour)
    with Http2Connection(stage.proxy, "primary.test") as client:
        for _ in range(20):
            client.post_and_cancel(QUESTION.encode())
        client.post(b"last")
        wait_until(
            lambda: [x for x in stage.primary.exchanges[number:] if x.request.body == b"last"], "it came"
        )
        cancelled = [x for x in stage.primary.exchanges[number:] if x.request.body != b"last"]
        for exchange in cancelled:
            wait_until(exchange.ended.is_set, "the provider's connection is closed", within_s=PROMPTLY_S)
    for exchange in stage.primary.exchanges[number:]:
        wait_until(exchange.ended.is_set, "nothing outlives the client's connection", within_s=PROMPTLY_S)
    stage.primary.behaviour = respond(200, b"the primary")
    assert ask(stage.proxy, "http://primary.test").body == b"the primary"
    assert not stage.fallback.requests
    assert "ejected" not in stage.proxy.log


def test_in_the_middle_of_its_own_request(stage: Stage) -> None:
    """A request that never became whole is nobody's business but the client's."""
    number = stage.begin(respond(200, b"the primary"))
    whole = request_bytes("http://primary.test/", "primary.test", QUESTION.encode())
    with connect(stage.proxy.port) as sock:
        sock.sendall(whole[:-10])
    assert ask(stage.proxy, "http://primary.test").body == b"the primary"
    assert len(stage.primary.exchanges) == number + 1
