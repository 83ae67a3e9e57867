"""Whatever a provider may answer passes unchanged, framed for the client's own HTTP version."""

import gzip
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection

import httpx
import pytest

from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import (
    JSON,
    QUESTION,
    connect,
    http_client,
    read_response,
    read_to_end,
    request_bytes,
)
from tests.support.mesh import PATH, Host, write_mesh
from tests.support.provider import Exchange, Provider, chunk, close_before_headers, head, respond
from tests.support.proxy import Proxy, Setting

HOST = "primary.test"


@pytest.fixture(scope="module", name="stage")
def running(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Proxy, Provider]]:
    """A proxy and a provider, whose behaviour is each test's own."""
    provider = Provider(respond(), authority.issue(HOST))
    with background.serving(provider):
        config = write_mesh(tmp_path_factory.mktemp("answers"), Host(name=HOST, port=provider.port))
        with Proxy(setting, config) as proxy:
            yield proxy, provider


@dataclass(frozen=True, slots=True)
class Wire:
    """An answer on the wire, and what a client makes of it."""

    sent: bytes
    status: int = 200
    body: bytes = b""
    then_close: bool = False


LENGTH_2 = (("content-length", "2"),)
ANSWERS = {
    "no-content": Wire(head(204, ()), 204),
    "not-modified": Wire(head(304, (("etag", '"1"'), ("content-length", "100"))), 304),
    "empty": Wire(head(200, (("content-length", "0"),))),
    "empty-chunked": Wire(head(200, (("transfer-encoding", "chunked"),)) + chunk(b"")),
    "chunked-with-trailers": Wire(
        head(200, (("transfer-encoding", "chunked"), ("trailer", "x-sum")))
        + chunk(b"hi")
        + b"0\r\nx-sum: 1\r\n\r\n",
        body=b"hi",
    ),
    "continue-first": Wire(head(100, ()) + head(200, LENGTH_2) + b"hi", body=b"hi"),
    "early-hints-first": Wire(head(103, (("link", "</a>"),)) + head(200, LENGTH_2) + b"hi", body=b"hi"),
    "until-the-end": Wire(head(200, ()) + b"hi", body=b"hi", then_close=True),
    "length-and-close": Wire(
        head(200, (*LENGTH_2, ("connection", "close"))) + b"hi", body=b"hi", then_close=True
    ),
    "http-1-0": Wire(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", body=b"hi", then_close=True),
    "no-reason": Wire(b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi", body=b"hi"),
    "large-headers": Wire(head(200, (*LENGTH_2, ("x-large", "x" * 30_000))) + b"hi", body=b"hi"),
    "many-headers": Wire(head(200, (*LENGTH_2, *((f"x-{n}", "1") for n in range(90)))) + b"hi", body=b"hi"),
}


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("name", ANSWERS)
def test_its_framing(stage: tuple[Proxy, Provider], name: str, *, http2: bool) -> None:
    """Status and body arrive, however the provider framed them; the next request is not disturbed."""
    proxy, provider = stage
    wire = ANSWERS[name]

    async def behave(exchange: Exchange) -> None:
        await exchange.send(wire.sent)
        if wire.then_close:
            exchange.close()

    with http_client(proxy, http2=http2) as client:
        url = f"{'https' if http2 else 'http'}://{HOST}"
        provider.behaviour = behave
        answer = client.post(url, content=QUESTION, headers=JSON)
        provider.behaviour = respond(200, b"the next")
        following = client.post(url, content=QUESTION, headers=JSON)
    assert (answer.status_code, answer.content) == (wire.status, wire.body)
    assert (following.status_code, following.content) == (200, b"the next")


def test_the_connection_goes_on_after_an_empty_answer(stage: tuple[Proxy, Provider]) -> None:
    """Of which its provider says only at its end that it is one."""
    proxy, provider = stage
    answers = iter([ANSWERS["empty-chunked"].sent, head(200, LENGTH_2) + b"hi"])

    async def behave(exchange: Exchange) -> None:
        await exchange.send(next(answers))

    provider.behaviour = behave
    with connect(proxy.port) as sock:
        for body in (b"", b"hi"):
            sock.sendall(request_bytes(f"http://{HOST}/", HOST, QUESTION.encode()))
            assert read_response(sock).body == body


@pytest.mark.parametrize("http2", [False, True])
def test_its_headers(stage: tuple[Proxy, Provider], *, http2: bool) -> None:
    """All of them pass, in their order, repeated ones too; those of one connection do not."""
    proxy, provider = stage
    own = [
        ("X-One", "1"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Date", "now"),
    ]
    hops = [("Connection", "keep-alive, X-Hop"), ("Keep-Alive", "timeout=5"), ("X-Hop", "1")]
    replaced = [("X-Envoy-Upstream-Service-Time", "a provider behind Envoy"), ("Server", "theirs")]
    provider.behaviour = respond(200, b"hi", (*own, *hops, *replaced))
    with http_client(proxy, http2=http2) as client:
        answer = client.post(f"{'https' if http2 else 'http'}://{HOST}", content=QUESTION, headers=JSON)
    ours = [(n.lower(), v) for n, v in answer.headers.multi_items()]
    assert [(n, v) for n, v in ours if n in {name.lower() for name, _ in own}] == [
        (name.lower(), value) for name, value in own
    ]
    assert not {"connection", "keep-alive", "x-hop"} & {name for name, _ in ours}
    (service_time,) = answer.headers.get_list("x-envoy-upstream-service-time")
    assert service_time.isdigit()
    assert answer.headers.get_list("server") == ["envoy"]


def test_a_local_reply_to_head_has_no_body(stage: tuple[Proxy, Provider]) -> None:
    """Its length is told, and the next answer on the connection is whole."""
    proxy, provider = stage
    with closing(HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as connection:
        provider.behaviour = close_before_headers
        connection.request("HEAD", f"http://{HOST}/")
        refused = connection.getresponse()
        assert (refused.status, refused.read()) == (503, b"")
        assert int(refused.headers["content-length"]) > 0
        provider.behaviour = respond(200, b"the next")
        connection.request("POST", f"http://{HOST}/", b"{}", JSON)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"the next")


def test_a_compressed_answer(stage: tuple[Proxy, Provider]) -> None:
    """It stays compressed, byte for byte."""
    proxy, provider = stage
    body = gzip.compress(b'{"a": "completion"}')
    provider.behaviour = respond(200, body, (("content-encoding", "gzip"),))
    with (
        http_client(proxy) as client,
        client.stream("POST", f"http://{HOST}", content=QUESTION, headers=JSON) as answer,
    ):
        assert answer.headers["content-encoding"] == "gzip"
        assert b"".join(answer.iter_raw()) == body


def test_more_than_its_length(stage: tuple[Proxy, Provider]) -> None:
    """Bytes after the answer belong to nobody; no later client gets them."""
    proxy, provider = stage

    async def chatty(exchange: Exchange) -> None:
        await exchange.send(head(200, LENGTH_2) + b"hi" + head(200, LENGTH_2) + b"no")

    provider.behaviour = chatty
    with http_client(proxy) as client:
        assert client.post(f"http://{HOST}", content=QUESTION, headers=JSON).content == b"hi"
        provider.behaviour = respond(200, b"the next")
        answer = client.post(f"http://{HOST}", content=QUESTION, headers=JSON)
    assert answer.content != b"no"


def test_an_answer_before_the_request_is_whole(
    background: Background, authority: Authority, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A provider that refuses a large body early, and closes, is heard."""
    refusal = head(413, (("content-length", "9"), ("connection", "close"))) + b"too large"
    provider = Provider(respond(), authority.issue(HOST), refusal=refusal)
    with background.serving(provider):
        config = write_mesh(tmp_path_factory.mktemp("early"), Host(name=HOST, port=provider.port))
        with Proxy(setting, config) as proxy, http_client(proxy) as client:
            answer = client.post(f"http://{HOST}", content=b"x" * 8_000_000, headers=JSON)
    assert (answer.status_code, answer.content) == (413, b"too large")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (f"http://{HOST.upper()}/v1/chat/completions", PATH),
        (f"http://{HOST}:80/v1/chat/completions", PATH),
        (f"http://{HOST}/?q=1", f"{PATH}?q=1"),
        (f"http://{HOST}/", PATH),
        (f"https://{HOST}:443{PATH}", PATH),
        (f"http://{HOST}/v1/embeddings", f"{PATH.removesuffix('/chat/completions')}/embeddings"),
        (f"http://{HOST}/other//path/%2f?a=%20&b", "/other//path/%2f?a=%20&b"),
    ],
)
def test_how_a_host_may_be_called(stage: tuple[Proxy, Provider], url: str, path: str) -> None:
    """In capitals, with its port, without a path: it is the same provider."""
    proxy, provider = stage
    provider.behaviour = respond(200, b"hi")
    if url.startswith("https://"):
        with http_client(proxy) as client:
            answer = client.post(url, content=QUESTION, headers=JSON).content
    else:
        answer = raw(proxy, url)
    assert answer == b"hi"
    assert (provider.requests[-1].path, provider.requests[-1].header("host")) == (path, HOST)


def raw(proxy: Proxy, url: str) -> bytes:
    """The body of the answer to a request line that no client library has tidied up."""
    host = url.split("/")[2]
    with connect(proxy.port) as sock:
        sock.sendall(request_bytes(url, host, QUESTION.encode()))
        return read_response(sock).body


def test_a_client_that_asks_to_continue(stage: tuple[Proxy, Provider]) -> None:
    """It is told to go on by the proxy, and its body arrives; the provider is not asked."""
    proxy, provider = stage
    provider.behaviour = respond(200, b"hi")
    whole = request_bytes(f"http://{HOST}/", HOST, QUESTION.encode(), "Expect: 100-continue")
    top, body = whole[: -len(QUESTION.encode())], QUESTION.encode()
    with connect(proxy.port) as sock:
        sock.sendall(top)
        assert sock.recv(1000).startswith(b"HTTP/1.1 100 ")
        sock.sendall(body)
        assert read_response(sock).body == b"hi"
    assert provider.requests[-1].header("expect") is None
    assert provider.requests[-1].json()["model"] == "a-model"


def test_a_client_that_does_not_wait(stage: tuple[Proxy, Provider]) -> None:
    """Two requests at once on one connection are answered one after the other."""
    proxy, provider = stage
    provider.behaviour = respond(200, b"hi")
    one = request_bytes(f"http://{HOST}/", HOST, QUESTION.encode())
    two = request_bytes(f"http://{HOST}/", HOST, QUESTION.encode(), "Connection: close")
    with connect(proxy.port) as sock:
        sock.sendall(one + two)
        assert read_to_end(sock).count(b"\r\n\r\nhi") == 2


def test_an_http2_upload_beyond_its_window(stage: tuple[Proxy, Provider]) -> None:
    """Flow control lets a large request through."""
    proxy, provider = stage
    provider.behaviour = respond(200, b"hi")
    body = b'{"model":"x","stream":true,"padding":"' + b"x" * 3_000_000 + b'"}'
    with http_client(proxy, http2=True) as client:
        answer: httpx.Response = client.post(f"https://{HOST}", content=body, headers=JSON)
    assert answer.content == b"hi"
    assert provider.requests[-1].body == body.replace(b'"model":"x"', b'"model":"a-model"')
