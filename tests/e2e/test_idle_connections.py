"""What happens on a pooled connection while nobody asks, and a request that meets a connection's end."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.background import Background, wait_until
from tests.support.certificates import Authority
from tests.support.clients import JSON, QUESTION, Answer, answer_of, http_client
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Feed, Provider, close_before_headers, head, respond
from tests.support.proxy import Proxy, Setting

SECURE, PLAIN = "secure.test", "plain.test"
WANTED = b"for the second client"


def whole(status: int, body: bytes) -> bytes:
    """A whole response."""
    return head(status, (("content-length", str(len(body))),)) + body


@dataclass(frozen=True, slots=True)
class Stage:
    """A proxy, and a provider that nobody has called yet, by host; any failure would eject it."""

    proxy: Proxy
    providers: dict[str, Provider]

    def ask(self, host: str, method: str = "POST") -> Answer:
        """The answer to a client with a connection of its own."""
        with http_client(self.proxy) as client:
            content = QUESTION if method == "POST" else None
            return answer_of(
                client.request(method, f"http://{host}/v1/models", content=content, headers=JSON)
            )


@pytest.fixture(name="stage")
def running(
    background: Background, authority: Authority, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    secure, plain = Provider(respond(), authority.issue(SECURE)), Provider(respond())
    with ExitStack() as stack:
        stack.enter_context(background.serving(secure))
        stack.enter_context(background.serving(plain))
        config = write_mesh(
            tmp_path_factory.mktemp("idle"),
            Host(name=SECURE, port=secure.port, threshold=1),
            Host(name=PLAIN, port=plain.port, threshold=1, tls=False),
        )
        proxy = stack.enter_context(Proxy(setting, config))
        yield Stage(proxy, {SECURE: secure, PLAIN: plain})


@pytest.mark.parametrize("host", [SECURE, PLAIN])
@pytest.mark.parametrize(
    "unasked",
    [
        pytest.param(whole(200, b"poison"), id="a-response"),
        pytest.param(whole(408, b""), id="408"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", id="garbage"),
    ],
)
def test_what_nobody_asked_for_is_no_answer(
    background: Background, stage: Stage, host: str, unasked: bytes
) -> None:
    """Bytes on an idle connection end it; the next client's request goes over a new one."""
    provider = stage.providers[host]
    feed = Feed(background)
    provider.behaviour = feed
    feed.send(whole(200, b"for the first client"))
    first = stage.ask(host)
    feed.send(unasked)  # in the proxy's hands before anything that the next client sends
    feed.done()
    wait_until(provider.exchanges[0].ended.is_set, "the bytes are sent")
    provider.behaviour = respond(200, WANTED)

    answers = [first.body, stage.ask(host).body, stage.ask(host).body]

    assert answers == [b"for the first client", WANTED, WANTED]
    assert (provider.connections, len(provider.requests)) == (2, 3)
    assert "ejected" not in stage.proxy.log


def test_more_than_the_answer_in_one_piece(background: Background, stage: Stage) -> None:
    """A response right behind the one that was asked for is not kept for the next client."""
    provider = stage.providers[PLAIN]
    feed = Feed(background)
    provider.behaviour = feed
    feed.send(whole(200, b"for the first client") + whole(200, b"poison"))
    first = stage.ask(PLAIN)
    feed.done()
    provider.behaviour = respond(200, WANTED)

    assert [first.body, stage.ask(PLAIN).body] == [b"for the first client", WANTED]
    assert provider.connections == 2


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
def test_a_request_is_not_sent_twice(stage: Stage, method: str) -> None:
    """Closed before the response, on a connection that served before: one attempt, which counts."""
    provider = stage.providers[SECURE]
    assert stage.ask(SECURE).status == 200
    provider.behaviour = close_before_headers

    answers = [stage.ask(SECURE, method).status, stage.ask(SECURE, method).status]

    assert answers == [503, 503]
    assert [request.method for request in provider.requests] == ["POST", method]
    assert (provider.hellos, provider.connections) == (1, 1)
    assert [line.rpartition(" | ")[2].split(" in ")[0] for line in stage.proxy.requests()] == [
        "200",
        "503 UC",
        "503 UH",
    ]
    stage.proxy.wait_for_line(r"ejected secure\.test:80")
