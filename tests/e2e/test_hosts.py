"""Which host a request is for where its parts disagree, and requests that would become others on the way."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import (
    QUESTION,
    Http2Connection,
    client_context,
    connect,
    parse,
    read_response,
    request_bytes,
)
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Provider, respond
from tests.support.proxy import Proxy, Setting

MANAGED = "managed.test"
BODY = QUESTION.encode()


@dataclass(frozen=True, slots=True)
class Stage:
    """A proxy, the provider of the managed host, and a server that nobody manages."""

    proxy: Proxy
    provider: Provider
    stranger: Provider


@pytest.fixture(scope="module", name="stage")
def running(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    provider = Provider(respond(body=b"provider"), authority.issue(MANAGED))
    stranger = Provider(respond(body=b"stranger"))
    with ExitStack() as stack:
        stack.enter_context(background.serving(provider))
        stack.enter_context(background.serving(stranger))
        host = Host(name=MANAGED, port=provider.port, path=None, threshold=1)
        config = write_mesh(tmp_path_factory.mktemp("hosts"), host)
        proxy = stack.enter_context(Proxy(setting, config))
        yield Stage(proxy, provider, stranger)


def test_a_dot_at_the_end(stage: Stage) -> None:
    """The name of the same host, in URL and Host header, and in CONNECT."""
    for name in (f"http://{MANAGED}./", f"http://{MANAGED.upper()}./"):
        with connect(stage.proxy.port) as sock:
            sock.sendall(request_bytes(name, f"{MANAGED}.", BODY))
            assert read_response(sock).body == b"provider"
    with connect(stage.proxy.port) as sock:
        sock.sendall(f"CONNECT {MANAGED}.:443 HTTP/1.1\r\nHost: {MANAGED}.:443\r\n\r\n".encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        with client_context(stage.proxy).wrap_socket(sock, server_hostname=MANAGED) as secured:
            secured.sendall(request_bytes("/x", MANAGED, BODY))
            assert read_response(secured).body == b"provider"


def test_an_absolute_url_counts_before_the_host_header(stage: Stage) -> None:
    """RFC 9112: the request target wins; a Host header takes no request elsewhere, in either direction."""
    elsewhere = f"http://127.0.0.1:{stage.stranger.port}/"
    with connect(stage.proxy.port) as sock:
        sock.sendall(request_bytes(f"http://{MANAGED}/", "unmanaged.test", BODY))
        first = read_response(sock)
    with connect(stage.proxy.port) as sock:
        sock.sendall(request_bytes(elsewhere, MANAGED, BODY))
        second = read_response(sock)

    assert (first.body, second.body) == (b"provider", b"stranger")
    assert stage.provider.requests[-1].header("host") == MANAGED


def test_connect_counts_before_the_host_header(stage: Stage) -> None:
    """What a client sends through TLS to a managed host never leaves unencrypted."""
    with connect(stage.proxy.port) as sock:
        sock.sendall(f"CONNECT {MANAGED}:443 HTTP/1.1\r\nHost: {MANAGED}:443\r\n\r\n".encode())
        top = b""
        while not top.endswith(b"\r\n\r\n"):
            top += sock.recv(1)
        assert parse(top).status == 200
        context: ssl.SSLContext = client_context(stage.proxy)
        with context.wrap_socket(sock, server_hostname=MANAGED) as secured:
            secured.sendall(request_bytes("/x", f"127.0.0.1:{stage.stranger.port}", BODY))
            answer = read_response(secured)

    assert answer.body == b"provider"
    assert stage.provider.requests[-1].path == "/x"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("@127.0.0.1:1/steal", id="another-authority"),
        pytest.param("1/x", id="another-port"),
        pytest.param("/a HTTP/1.1", id="a-space"),
        pytest.param("/a#b", id="a-fragment"),
    ],
)
def test_a_path_that_would_become_something_else_is_refused(stage: Stage, path: str) -> None:
    """HTTP/2 clients can send any path: such a request gets 400 and proves nothing about the provider."""
    seen = len(stage.provider.requests)
    with Http2Connection(stage.proxy, MANAGED) as client:
        status = client.status(client.post(BODY, path))

    assert status == 400
    assert len(stage.provider.requests) == seen
    assert not [line for line in stage.proxy.lines if "ejected" in line or "while handling" in line]
