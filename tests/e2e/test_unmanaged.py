"""Hosts that nobody manages pass as through a mitmdump without the addon."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import client_context, connect, http_client, read_to_end
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Exchange, Provider, chunk, close_before_headers, head
from tests.support.proxy import Proxy, Setting

BODY = b'{"model" :"theirs","n":1.50}\x00\xff'
ANSWER_HEADERS = (
    ("X-Odd-Case", "1"),
    ("Set-Cookie", "a=1"),
    ("set-cookie", "b=2"),
    ("Transfer-Encoding", "chunked"),
)


async def answer(exchange: Exchange) -> None:
    """An answer with everything that could be lost on the way."""
    await exchange.send(head(207, ANSWER_HEADERS) + chunk(b"one\x00") + chunk(b"\xfftwo") + chunk(b""))


@dataclass(frozen=True, slots=True)
class Stage:
    """The same servers behind a proxy with the addon, and behind one without."""

    ours: Proxy
    bare: Proxy
    plain: Provider
    secure: Provider

    def both(self) -> tuple[Proxy, Proxy]:
        """Ours and the bare one."""
        return self.ours, self.bare


@pytest.fixture(scope="module", name="stage")
def running(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """Servers that nobody manages, while somebody else is managed."""
    plain, secure = Provider(answer), Provider(answer, authority.issue("localhost"))
    with ExitStack() as stack:
        stack.enter_context(background.serving(plain))
        stack.enter_context(background.serving(secure))
        config = write_mesh(tmp_path_factory.mktemp("unmanaged"), Host(name="managed.test", key="sk-ours"))
        trust = ("--set", f"ssl_verify_upstream_trusted_ca={setting.ca_bundle}")
        ours = stack.enter_context(Proxy(setting, config, *trust))
        bare = stack.enter_context(Proxy(setting, None, *trust))
        yield Stage(ours, bare, plain, secure)


def request(target: str, port: int) -> bytes:
    """A request with everything that could be lost on the way, credentials included."""
    lines = [
        f"POST {target} HTTP/1.1",
        f"HOST: localhost:{port}",
        "AUTHORIZATION: Bearer sk-theirs",
        "Cookie: session=1",
        "api-key: theirs",
        "X-Odd-CASE:  spaces  ",
        "Content-Type: application/json",
        f"Content-Length: {len(BODY)}",
        "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + BODY


def tunnel(proxy: Proxy, port: int) -> ssl.SSLSocket:
    """TLS with the proxy, through CONNECT."""
    sock: socket.socket = connect(proxy.port)
    sock.sendall(f"CONNECT localhost:{port} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
    top = b""
    while not top.endswith(b"\r\n\r\n"):
        top += sock.recv(1)
    assert top.startswith(b"HTTP/1.1 200 ")
    return client_context(proxy).wrap_socket(sock, server_hostname="localhost")


PATH = "/v1/chat/completions?api-key=theirs&q=%20"


def test_plain_http(stage: Stage) -> None:
    """Request and answer are, byte for byte, what they are without the addon; credentials are left alone."""
    answers = []
    for proxy in stage.both():
        with connect(proxy.port) as sock:
            port = stage.plain.port
            sock.sendall(request(f"http://localhost:{port}{PATH}", port))
            answers.append(read_to_end(sock))
    assert answers[0] == answers[1]
    assert answers[0].startswith(
        b"HTTP/1.1 207 Status\r\nX-Odd-Case: 1\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n"
    )
    assert answers[0].endswith(b"one\x00\xfftwo") or chunk(b"one\x00\xfftwo") in answers[0]
    ours, bare = stage.plain.requests[-2:]
    assert ours.raw == bare.raw
    assert (ours.path, ours.body, ours.header("authorization")) == (PATH, BODY, "Bearer sk-theirs")


def test_https(stage: Stage) -> None:
    """The same through CONNECT; the server sees the SNI that the client sent."""
    answers = []
    for proxy in stage.both():
        with tunnel(proxy, stage.secure.port) as sock:
            sock.sendall(request(PATH, stage.secure.port))
            answers.append(read_to_end(sock))
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 207 Status\r\nX-Odd-Case: 1\r\n")
    ours, bare = stage.secure.requests[-2:]
    assert ours.raw == bare.raw
    assert (ours.sni, bare.sni, ours.body) == ("localhost", "localhost", BODY)


def test_its_errors_are_mitmproxys(stage: Stage) -> None:
    """A server that dies is answered for by mitmproxy, and nobody is ejected for it."""
    stage.plain.behaviour = close_before_headers
    url = f"http://localhost:{stage.plain.port}/"
    answers = []
    for proxy in stage.both():
        with http_client(proxy) as client:
            answers.append(client.get(url))
    stage.plain.behaviour = answer
    assert [a.status_code for a in answers] == [502, 502]
    assert answers[0].content == answers[1].content
    assert "ejected" not in stage.ours.log


def test_nothing_is_said_about_it(stage: Stage) -> None:
    """The log has lines about managed requests only from us."""
    with http_client(stage.ours) as client:
        assert client.get(f"http://localhost:{stage.plain.port}/quiet").status_code == 207
    stage.ours.wait_for_line("GET .*/quiet")  # mitmproxy's own line
    assert not stage.ours.requests()
