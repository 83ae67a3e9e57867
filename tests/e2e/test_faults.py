"""Everything that can go wrong with a provider, and what the client gets for it."""

import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import JSON, QUESTION, Answer, answer_of, ask, http_client, statuses
from tests.support.mesh import Host, write_mesh
from tests.support.provider import (
    SSE_HEAD,
    Behaviour,
    Exchange,
    Feed,
    Provider,
    chunk,
    close_before_headers,
    garbage,
    head,
    reset_before_headers,
    respond,
)
from tests.support.proxy import Proxy, Setting
from tests.support.unreachable import full_backlog

FALLBACK = "fallback.test"
FALLBACK_BODY = b'{"from": "the fallback"}'
BEFORE_HEADERS = "upstream connect error or disconnect/reset before headers. "
CONNECT_FAILURE = f"{BEFORE_HEADERS}retried and the latest reset reason: remote connection failure"
TERMINATION = f"{BEFORE_HEADERS}reset reason: connection termination"
PROTOCOL_ERROR = f"{BEFORE_HEADERS}reset reason: protocol error"
NOBODY = "no healthy upstream"


async def cut_head(exchange: Exchange) -> None:
    """Close the connection in the middle of the response's headers."""
    await exchange.send(head(200, (("content-length", "2"),))[:-6])
    exchange.close()


async def upgrade(exchange: Exchange) -> None:
    """Switch to a protocol that nobody asked for."""
    await exchange.send(head(101, (("connection", "upgrade"), ("upgrade", "websocket"))))
    await exchange.hung_up()


async def odd_coding(exchange: Exchange) -> None:
    """Answer in a transfer coding that nobody has heard of."""
    await exchange.send(head(200, (("transfer-encoding", "rot13"),)) + b"uryyb")
    await exchange.hung_up()


@dataclass(frozen=True, slots=True)
class Case:
    """A fault: what the provider does, and what is to come of it.

    `behaviour` None: nobody listens. `hellos`: how many TLS handshakes one request costs, if known.
    `once`: the first answer where that fault ejects, `flags` the response flags that the log tells.
    """

    behaviour: Behaviour | None
    status: int
    body: str
    flags: str = ""
    hellos: int | None = None
    once: tuple[int, str] | None = None
    counts: bool = True


def unreachable(behaviour: Behaviour | None, hellos: int | None = None) -> Case:
    """A connection that does not come about: tried three times, or once where that ejects."""
    return Case(behaviour, 503, CONNECT_FAILURE, "UF,URX", hellos, once=(503, NOBODY))


CASES = {
    "dns": unreachable(None),
    "refused": unreachable(None),
    "other-name": unreachable(respond(), 3),
    "expired": unreachable(respond(), 3),
    "unknown-ca": unreachable(respond(), 3),
    "not-tls": unreachable(respond()),
    "status-500": Case(respond(500, b"five"), 500, "five"),
    "status-503": Case(respond(503, b"unavailable"), 503, "unavailable"),
    "status-529": Case(respond(529, b"overloaded"), 529, "overloaded"),
    "status-599": Case(respond(599, b""), 599, ""),
    "status-429": Case(respond(429, b"slow down"), 429, "slow down", counts=False),
    "status-404": Case(respond(404, b"what?"), 404, "what?", counts=False),
    "status-307": Case(
        respond(307, b"there", (("location", "https://fallback.test/"),)), 307, "there", counts=False
    ),
    "close": Case(close_before_headers, 503, TERMINATION, "UC"),
    "reset": Case(reset_before_headers, 503, TERMINATION, "UC"),
    "garbage": Case(garbage, 502, PROTOCOL_ERROR, "UPE"),
    "cut-head": Case(cut_head, 502, PROTOCOL_ERROR, "UPE"),
    "upgrade": Case(upgrade, 502, PROTOCOL_ERROR, "UPE"),
    "coding": Case(odd_coding, 502, PROTOCOL_ERROR, "UPE"),
}
"""By the first label of the host; `<label>.test` is without a fallback, `<label>-saved.test` has one."""


class Stage:
    """One proxy, and a provider for each case."""

    def __init__(self, proxy: Proxy, providers: dict[str, Provider], fallback: Provider) -> None:
        self.proxy = proxy
        self.providers = providers
        self.fallback = fallback

    def ask(self, label: str) -> Answer:
        """The answer to a request to a case's host."""
        return ask(self.proxy, f"http://{host_of(label)}")


def host_of(label: str) -> str:
    """The host of a case; no resolver knows `.invalid` names."""
    return f"{label}.invalid" if label.startswith("dns") else f"{label}.test"


def certificate(label: str, authority: Authority) -> ssl.SSLContext | None:
    """The certificate that goes with a case."""
    names = (host_of(label), host_of(f"{label}-saved"))
    match label:
        case "other-name":
            return authority.issue("somebody-else.test")
        case "expired":
            return authority.issue_expired(*names)
        case "unknown-ca":
            return Authority().issue(*names)
        case "not-tls":
            return None
        case _:
            return authority.issue(*names)


@pytest.fixture(scope="module", name="stage")
def running(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """Every case at once, behind one proxy."""
    with ExitStack() as stack:
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))
        ports: dict[str, int | None] = {"dns": None, "refused": nobody.getsockname()[1]}
        providers: dict[str, Provider] = {}
        for label, case in CASES.items():
            if case.behaviour is not None:
                provider = Provider(case.behaviour, certificate(label, authority))
                providers[label] = stack.enter_context(background.serving(provider))
                ports[label] = provider.port
        fallback = Provider(respond(200, FALLBACK_BODY), authority.issue(FALLBACK))
        stack.enter_context(background.serving(fallback))
        hosts = [Host(name=FALLBACK, port=fallback.port)]
        for label, port in ports.items():
            saved = host_of(f"{label}-saved")
            hosts.append(Host(name=host_of(label), port=port))
            hosts.append(Host(name=saved, port=port, threshold=1, fallback=FALLBACK))
        config = write_mesh(tmp_path_factory.mktemp("faults"), *hosts)
        yield Stage(stack.enter_context(Proxy(setting, config)), providers, fallback)


@pytest.mark.parametrize("label", CASES)
def test_without_a_fallback(stage: Stage, label: str) -> None:
    """The client gets Envoy's answer, again and again: without outlier detection nobody is ejected."""
    case = CASES[label]
    before = stage.providers[label].hellos if case.hellos else 0
    answers = [stage.ask(label), stage.ask(label)]
    assert [(a.status, a.body.decode()) for a in answers] == [(case.status, case.body)] * 2
    if case.flags:
        assert [a.headers["content-type"] for a in answers] == ["text/plain"] * 2
    if case.hellos:
        assert stage.providers[label].hellos - before == 2 * case.hellos
    told = [line for line in stage.proxy.requests() if f" {host_of(label)} " in line]
    assert len(told) == 2
    outcome = f"{case.status} {case.flags}".strip()
    assert all(f" | {outcome} in " in line for line in told), told


@pytest.mark.parametrize("label", [label for label, case in CASES.items() if case.counts])
def test_with_a_fallback(stage: Stage, label: str) -> None:
    """The failing request ejects the primary and is not saved; the next one goes to the fallback."""
    case = CASES[label]
    saved = f"{label}-saved"
    first, second = stage.ask(saved), stage.ask(saved)
    assert (first.status, first.body.decode()) == (case.once or (case.status, case.body))
    assert (second.status, second.body) == (200, FALLBACK_BODY)
    ejections = [line for line in stage.proxy.lines if f"ejected {host_of(saved)}:80" in line]
    assert len(ejections) == 1


@pytest.mark.parametrize("label", [label for label, case in CASES.items() if not case.counts])
def test_what_is_no_failure(stage: Stage, label: str) -> None:
    """3xx, 4xx and 429 prove that the provider works: they do not eject it."""
    case = CASES[label]
    answers = [stage.ask(f"{label}-saved") for _ in range(3)]
    assert statuses(answers) == [case.status] * 3
    assert f"ejected {host_of(label)}-saved" not in stage.proxy.log


def length_head(length: int) -> bytes:
    """The head of a JSON answer of that length."""
    return head(200, (("content-type", "application/json"), ("content-length", str(length))))


def says_nonsense(feed: Feed) -> None:
    """Send what is no chunk, and stay."""
    feed.send(b"ZZ\r\n")


@dataclass(frozen=True, slots=True)
class Cut:
    """An answer that begins and does not end: its beginning on the wire, and the body in it."""

    start: bytes
    body: bytes
    end: Callable[[Feed], None]


CUTS = {
    "length-reset": Cut(length_head(100) + b'{"half', b'{"half', Feed.reset),
    "length-close": Cut(length_head(100) + b'{"half', b'{"half', Feed.close),
    "chunked-reset": Cut(SSE_HEAD + chunk(b"half"), b"half", Feed.reset),
    "chunked-close": Cut(SSE_HEAD + chunk(b"half"), b"half", Feed.close),
    "sse-reset": Cut(SSE_HEAD + chunk(b"data: 1\n\n"), b"data: 1\n\n", Feed.reset),
    "sse-close-in-a-chunk": Cut(SSE_HEAD + b"ff\r\ndata: 1\n\n", b"data: 1\n\n", Feed.close),
    "sse-nonsense": Cut(SSE_HEAD + chunk(b"data: 1\n\n"), b"data: 1\n\n", says_nonsense),
    "sse-nonsense-in-a-chunk": Cut(SSE_HEAD + b"9\r\ndata: 1\n\n", b"data: 1\n\n", says_nonsense),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("label", CUTS)
def test_a_body_that_breaks(
    label: str,
    scheme: str,
    background: Background,
    authority: Authority,
    broken_stage: tuple[Proxy, Provider],
) -> None:
    """The client gets what has come, then sees the truncation; it never sees a clean end."""
    del authority
    proxy, provider = broken_stage
    cut, feed = CUTS[label], Feed(background)
    provider.behaviour = feed
    feed.send(cut.start)
    received = b""
    with http_client(proxy, http2=scheme == "https") as client, ExitStack() as stack:
        request = client.stream("POST", f"{scheme}://broken.test", content=QUESTION, headers=JSON)
        response = stack.enter_context(request)
        assert response.status_code == 200
        pieces = response.iter_raw()
        while len(received) < len(cut.body):
            received += next(pieces)
        cut.end(feed)
        with pytest.raises(httpx.RemoteProtocolError):
            received += b"".join(pieces)
    assert received == cut.body


@pytest.fixture(scope="module")
def broken_stage(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Proxy, Provider]]:
    """A proxy in front of one provider, without outlier detection."""
    provider = Provider(respond(), authority.issue("broken.test"))
    with background.serving(provider):
        config = write_mesh(tmp_path_factory.mktemp("broken"), Host(name="broken.test", port=provider.port))
        with Proxy(setting, config) as proxy:
            yield proxy, provider


@pytest.mark.parametrize("label", ["sse-reset", "sse-nonsense"])
def test_a_broken_body_counts(
    label: str,
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A 200 that breaks is a failure: with a threshold of 1 the next request goes to the fallback."""
    cut, feed = CUTS[label], Feed(background)
    primary = Provider(feed, authority.issue("primary.test"))
    fallback = Provider(respond(200, FALLBACK_BODY), authority.issue(FALLBACK))
    with background.serving(primary), background.serving(fallback):
        config = write_mesh(
            tmp_path_factory.mktemp("counts"),
            Host(name="primary.test", port=primary.port, threshold=1, fallback=FALLBACK),
            Host(name=FALLBACK, port=fallback.port),
        )
        feed.send(cut.start)
        with Proxy(setting, config) as proxy, http_client(proxy) as client:
            request = client.stream("POST", "http://primary.test", content=QUESTION, headers=JSON)
            with request as response:
                pieces = response.iter_raw()
                assert next(pieces)
                cut.end(feed)
                with pytest.raises(httpx.RemoteProtocolError):
                    list(pieces)
            answer = answer_of(client.post("http://primary.test", content=QUESTION, headers=JSON))
    assert (answer.status, answer.body) == (200, FALLBACK_BODY)


def test_a_cut_200_never_reaches_a_threshold_of_two(
    background: Background, authority: Authority, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its status sets the count to 0 before its death counts 1; a 500 that breaks counts twice."""

    async def cut_200(exchange: Exchange) -> None:
        await exchange.send(CUTS["length-close"].start)
        exchange.close()

    async def cut_500(exchange: Exchange) -> None:
        await exchange.send(CUTS["length-close"].start.replace(b" 200 ", b" 500 "))
        exchange.close()

    primary = Provider(cut_200, authority.issue("primary.test"))
    fallback = Provider(respond(200, FALLBACK_BODY), authority.issue(FALLBACK))
    with background.serving(primary), background.serving(fallback):
        config = write_mesh(
            tmp_path_factory.mktemp("cut"),
            Host(name="primary.test", port=primary.port, threshold=2, fallback=FALLBACK),
            Host(name=FALLBACK, port=fallback.port),
        )
        with Proxy(setting, config) as proxy, http_client(proxy) as client:
            for _ in range(3):
                with pytest.raises(httpx.RemoteProtocolError):
                    client.post("http://primary.test", content=QUESTION, headers=JSON)
            assert "ejected" not in proxy.log
            primary.behaviour = respond(200)
            assert client.post("http://primary.test", content=QUESTION, headers=JSON).status_code == 200
            primary.behaviour = cut_500
            with pytest.raises(httpx.RemoteProtocolError):
                client.post("http://primary.test", content=QUESTION, headers=JSON)
            answer = answer_of(client.post("http://primary.test", content=QUESTION, headers=JSON))
    assert answer.body == FALLBACK_BODY


def test_providers_that_do_not_let_anybody_connect(
    background: Background, authority: Authority, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No handshake of TCP or TLS within 10 s (Istio's connect timeout) is a failure to connect."""
    fallback = Provider(respond(200, FALLBACK_BODY), authority.issue(FALLBACK))
    with ExitStack() as stack:
        stack.enter_context(background.serving(fallback))
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))  # accepts, and says nothing
        full = stack.enter_context(full_backlog(stack))
        hosts = [
            Host(name=f"{name}.test", port=port, threshold=1, fallback=FALLBACK)
            for name, port in (("silent", silent.getsockname()[1]), ("full", full.getsockname()[1]))
        ]
        config = write_mesh(
            tmp_path_factory.mktemp("connect"), *hosts, Host(name=FALLBACK, port=fallback.port)
        )
        proxy = stack.enter_context(Proxy(setting, config))
        with ThreadPoolExecutor() as threads:
            first = list(threads.map(lambda host: ask(proxy, f"http://{host.name}"), hosts))
        second = [ask(proxy, f"http://{host.name}") for host in hosts]
    assert [(a.status, a.body.decode()) for a in first] == [(503, NOBODY)] * 2
    assert [a.body for a in second] == [FALLBACK_BODY] * 2
