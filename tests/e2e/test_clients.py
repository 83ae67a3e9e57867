"""Clients of every shape get the primary's answer, or the fallback's."""

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from standin import CONTENT, StandIn
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import (
    JSON,
    QUESTION,
    TIMEOUT_S,
    Answer,
    answer_of,
    ask,
    connect,
    http_client,
    parse,
    read_response,
    read_to_end,
    request_bytes,
    sdk,
)
from tests.support.mesh import PATH, Host, write_mesh
from tests.support.provider import Provider, gathering, respond
from tests.support.proxy import Proxy, Setting

TUTORIAL_HOST = "asm-llm-provider-test.com"

type Ask = Callable[[Proxy, str], Answer]


def keep_alive(proxy: Proxy, host: str) -> Answer:
    """HTTP/1.1, absolute form; the second answer on a connection that is kept."""
    with connect(proxy.port) as sock:
        for _ in range(2):
            sock.sendall(request_bytes(f"http://{host}/", host, QUESTION.encode()))
            answer = read_response(sock)
    return answer


def one_shot(proxy: Proxy, host: str) -> Answer:
    """HTTP/1.1, absolute form; the client wants the connection closed, and waits for that."""
    with connect(proxy.port) as sock:
        sock.sendall(request_bytes(f"http://{host}/", host, QUESTION.encode(), "Connection: close"))
        return parse(read_to_end(sock))


def http_1_0(proxy: Proxy, host: str) -> Answer:
    """HTTP/1.0: no keep-alive, no chunks."""
    with connect(proxy.port) as sock:
        sock.sendall(request_bytes(f"http://{host}/", host, QUESTION.encode(), version="1.0"))
        answer = parse(read_to_end(sock))
    assert "transfer-encoding" not in answer.headers
    return answer


def through_connect(proxy: Proxy, host: str) -> Answer:
    """HTTPS through CONNECT, HTTP/1.1."""
    with http_client(proxy) as client:
        response = client.post(f"https://{host}", content=QUESTION, headers=JSON)
        assert response.http_version == "HTTP/1.1"
        return answer_of(response)


def through_http2(proxy: Proxy, host: str) -> Answer:
    """HTTPS through CONNECT, HTTP/2."""
    with http_client(proxy, http2=True) as client:
        return answer_of(client.post(f"https://{host}", content=QUESTION, headers=JSON))


def through_curl(proxy: Proxy, host: str) -> Answer:
    """HTTPS by curl, or by httpx where there is none."""
    return ask(proxy, f"https://{host}")


def through_sdk(proxy: Proxy, host: str) -> Answer:
    """The openai SDK, whose base URL ends in /v1."""
    with sdk(f"http://{host}/v1", proxy) as client:
        messages = json.loads(QUESTION)["messages"]
        raw = client.chat.completions.with_raw_response.create(model="any", messages=messages)
        assert raw.parse().choices[0].message.content == CONTENT
        return Answer(raw.status_code, dict(raw.headers), raw.content)


SHAPES: list[Ask] = [
    keep_alive,
    one_shot,
    http_1_0,
    through_connect,
    through_http2,
    through_curl,
    through_sdk,
]


class Stage:
    """A provider that works, and one that is down; a proxy in front of both is to be started."""

    def __init__(self, config: Path, primary: StandIn, fallback: StandIn) -> None:
        self.config = config
        self.primary = primary
        self.fallback = fallback


@pytest.fixture(scope="module", name="stage")
def on_stage(
    background: Background, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """Providers; `down.test` and the tutorial's host have a fallback."""
    with ExitStack() as stack:
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        primary = stack.enter_context(background.serving(StandIn(tls=authority.issue("primary.test"))))
        fallback = stack.enter_context(background.serving(StandIn(tls=authority.issue("fallback.test"))))
        config = write_mesh(
            tmp_path_factory.mktemp("clients"),
            Host(name="primary.test", port=primary.port, model="the-primary"),
            Host(name="fallback.test", port=fallback.port, model="the-fallback"),
            Host(name="down.test", port=port, threshold=1, fallback="fallback.test"),
            Host(name=TUTORIAL_HOST, port=port, threshold=1, fallback="fallback.test"),
        )
        yield Stage(config, primary, fallback)


@pytest.fixture(scope="module", name="proxy")
def regular(stage: Stage, setting: Setting) -> Iterator[Proxy]:
    """A regular proxy that has found out already that `down.test` is down."""
    with Proxy(setting, stage.config) as proxy:
        with http_client(proxy) as client:
            assert client.post("http://down.test", content=QUESTION).status_code == 503
        yield proxy


def assert_is_from(answer: Answer, model: str) -> None:
    """The answer is a completion by this model."""
    assert answer.status == 200, answer
    assert json.loads(answer.body)["model"] == model


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("host", "model"), [("primary.test", "the-primary"), ("down.test", "the-fallback")])
def test_a_regular_proxys_client(proxy: Proxy, shape: Ask, host: str, model: str) -> None:
    """Whatever HTTP it speaks, and however it reaches the proxy."""
    assert_is_from(shape(proxy, host), model)


def test_a_reverse_proxys_client(stage: Stage, setting: Setting) -> None:
    """It speaks to the proxy as if that were the provider; Host is the proxy's own name."""
    with (
        Proxy(setting, stage.config, "--mode", f"reverse:http://{TUTORIAL_HOST}") as proxy,
        httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client,
    ):
        answers = [answer_of(client.post(proxy.url, content=QUESTION, headers=JSON)) for _ in range(2)]
        with sdk(f"{proxy.url}/v1", None) as openai:
            messages = json.loads(QUESTION)["messages"]
            completion = openai.chat.completions.create(model="any", messages=messages)
    assert (answers[0].status, answers[0].body) == (503, b"no healthy upstream")
    assert_is_from(answers[1], "the-fallback")
    assert completion.model == "the-fallback"


def test_a_socks_proxys_client(stage: Stage, setting: Setting) -> None:
    """Plain HTTP and HTTPS both, by name; the SOCKS proxy connects to nobody itself."""
    with (
        Proxy(setting, stage.config, "--mode", "socks5") as proxy,
        http_client(proxy, scheme="socks5h") as client,
        http_client(proxy, http2=True, scheme="socks5h") as secure,
    ):
        first = answer_of(client.post("http://down.test", content=QUESTION, headers=JSON))
        assert (first.status, first.body) == (503, b"no healthy upstream")
        for url in ("http://primary.test", "https://primary.test"):
            answer = (secure if url.startswith("https") else client).post(url, content=QUESTION, headers=JSON)
            assert_is_from(answer_of(answer), "the-primary")
        for url in ("http://down.test", "https://down.test"):
            answer = (secure if url.startswith("https") else client).post(url, content=QUESTION, headers=JSON)
            assert_is_from(answer_of(answer), "the-fallback")


def test_the_primarys_return_on_one_connection(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """A client that keeps its connection sees failure, fallback and recovery on it."""
    fallback = StandIn(tls=authority.issue("fallback.test"))
    with socket.socket() as reserved, background.serving(fallback):
        reserved.bind(("127.0.0.1", 0))
        config = write_mesh(
            tmp_path,
            Host(
                name="primary.test",
                port=reserved.getsockname()[1],
                threshold=1,
                ejection="6s",
                fallback="fallback.test",
            ),
            Host(name="fallback.test", port=fallback.port, model="the-fallback"),
        )
        request = request_bytes("http://primary.test/", "primary.test", QUESTION.encode())
        with Proxy(setting, config) as proxy, connect(proxy.port) as sock:
            sock.sendall(request)
            assert read_response(sock).body == b"no healthy upstream"
            sock.sendall(request)
            assert_is_from(read_response(sock), "the-fallback")
            with background.serving(StandIn(tls=authority.issue("primary.test"), sock=reserved)):
                proxy.wait_for_line("returned primary.test:80")
                sock.sendall(request)
                assert_is_from(read_response(sock), "a-model")


@pytest.mark.parametrize("http2", [False, True])
def test_many_requests_at_once(
    *, http2: bool, background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """None waits for another: the provider answers the first only when it has the last."""
    parallel = 40
    provider = Provider(gathering(parallel), authority.issue("primary.test"))
    with background.serving(provider):
        config = write_mesh(tmp_path, Host(name="primary.test", port=provider.port))
        with Proxy(setting, config) as proxy, http_client(proxy, http2=http2) as client:
            url = f"{'https' if http2 else 'http'}://primary.test"
            with ThreadPoolExecutor(parallel) as threads:
                asked = [threads.submit(client.post, url, content=str(i)) for i in range(parallel)]
                answers = [answer.result() for answer in asked]
    assert [(a.status_code, a.text) for a in answers] == [(200, str(i)) for i in range(parallel)]


def test_other_requests_to_a_provider(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """GET and HEAD under /v1 move to the provider's base; the answer to HEAD has a length and no body."""
    provider = Provider(respond(200, b'{"object":"list"}'), authority.issue("primary.test"))
    with background.serving(provider):
        config = write_mesh(tmp_path, Host(name="primary.test", port=provider.port))
        with Proxy(setting, config) as proxy, http_client(proxy) as client:
            got = client.get("http://primary.test/v1/models?limit=2")
            asked = client.head("http://primary.test/v1/models")
            again = client.get("http://primary.test/v1/models")
    assert (got.status_code, got.content) == (200, b'{"object":"list"}')
    assert (asked.status_code, asked.content, asked.headers["content-length"]) == (200, b"", "17")
    assert again.content == got.content
    models = f"{PATH.removesuffix('/chat/completions')}/models"
    assert [(r.method, r.path) for r in provider.requests] == [
        ("GET", f"{models}?limit=2"),
        ("HEAD", models),
        ("GET", models),
    ]
    assert {r.body for r in provider.requests} == {b""}
