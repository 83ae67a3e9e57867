"""No way around the rules: a managed host is reached by them only, whatever a client sends."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.background import Background
from tests.support.clients import QUESTION, ask, connect, read_response
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Provider, respond
from tests.support.proxy import Proxy, Setting
from tests.support.secret import Secret, leaks

MANAGED = "localhost"
KEY = Secret("the client's Authorization", "sk-client-5b2e9d70")
BODY = QUESTION.encode()


@dataclass(frozen=True, slots=True)
class Stage:
    """A proxy, who answers for the managed host by its rules, and who listens at the host itself."""

    proxy: Proxy
    by_rules: Provider
    original: Provider

    def tunnel(self, name: str) -> socket.socket:
        """A connection by CONNECT to where the original listens."""
        sock = connect(self.proxy.port)
        sock.sendall(f"CONNECT {name}:{self.original.port} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        return sock

    def socks(self) -> socket.socket:
        """The same through a SOCKS proxy."""
        sock = connect(self.proxy.port)
        sock.sendall(b"\x05\x01\x00")
        assert sock.recv(2) == b"\x05\x00"
        port = self.original.port.to_bytes(2)
        sock.sendall(b"\x05\x01\x00\x03" + bytes([len(MANAGED)]) + MANAGED.encode() + port)
        assert sock.recv(4096)[:2] == b"\x05\x00"
        return sock


def playing(
    background: Background, setting: Setting, folder_of: pytest.TempPathFactory, *options: str
) -> Iterator[Stage]:
    by_rules, original = Provider(respond(body=b"by rules")), Provider(respond(body=b"original"))
    with ExitStack() as stack:
        stack.enter_context(background.serving(by_rules))
        stack.enter_context(background.serving(original))
        host = Host(name=MANAGED, port=by_rules.port, path=None, tls=False)
        config = write_mesh(folder_of.mktemp("confinement"), host)
        yield Stage(stack.enter_context(Proxy(setting, config, *options)), by_rules, original)


@pytest.fixture(scope="module", name="stage")
def http_proxy(
    background: Background, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    yield from playing(background, setting, tmp_path_factory, "--set", "flow_detail=4")


@pytest.fixture(scope="module", name="socks")
def socks_proxy(
    background: Background, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    yield from playing(background, setting, tmp_path_factory, "--mode", "socks5")


def a_request(start: str = "POST /x HTTP/1.1") -> bytes:
    fields = f"Host: {MANAGED}\r\nAuthorization: Bearer {KEY.value}\r\nContent-Length: {len(BODY)}"
    return f"{start}\r\n{fields}\r\n\r\n".encode() + BODY


@pytest.mark.parametrize("name", [MANAGED, MANAGED.upper(), f"{MANAGED}."])
@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((b"\r\n" + a_request(),), id="an-empty-line-first"),
        pytest.param((a_request()[:1], a_request()[1:]), id="in-two-pieces"),
        pytest.param((a_request("M-SEARCH /x HTTP/1.1"),), id="a-method-with-a-dash"),
        pytest.param((a_request("P0ST /x HTTP/1.1"),), id="a-method-with-a-digit"),
        pytest.param((a_request("POST\t/x\tHTTP/1.1"),), id="tabs"),
    ],
)
def test_a_request_that_does_not_look_like_one(stage: Stage, name: str, pieces: tuple[bytes, ...]) -> None:
    """It is one, and goes where the rules say."""
    with stage.tunnel(name) as sock:
        first, *rest = pieces
        sock.sendall(first)
        for piece in rest:
            # What has come before this has been read when this is answered.
            assert ask(stage.proxy, f"http://{MANAGED}/").body == b"by rules"
            sock.sendall(piece)
        assert read_response(sock).body == b"by rules"
    assert stage.original.requests == []


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"SSH-2.0-x\r\n", id="ssh"),
        pytest.param(b"nothing at all", id="a-word"),
        pytest.param(f"\0 {KEY.value}\r\n\r\n".encode(), id="binary"),
    ],
)
def test_what_is_no_request_goes_nowhere(stage: Stage, garbage: bytes) -> None:
    """It is refused or cut off, and shown to nobody with what it holds."""
    before = len(stage.by_rules.requests)
    with stage.tunnel(MANAGED) as sock:
        sock.sendall(garbage)
        sock.shutdown(socket.SHUT_WR)
        answered = sock.recv(4096)
    assert not answered or answered.startswith(b"HTTP/1.1 400 ")
    assert (len(stage.by_rules.requests), stage.original.requests) == (before, [])
    assert leaks({"the log": stage.proxy.log.encode()}, (KEY,)) == []


def test_through_socks(socks: Stage) -> None:
    with socks.socks() as sock:
        sock.sendall(b"\r\n" + a_request())
        assert read_response(sock).body == b"by rules"
    assert socks.original.requests == []


@pytest.mark.parametrize("option", ["ignore_hosts=.*", "tcp_hosts=.*", "allow_hosts=elsewhere"])
def test_options_that_pass_hosts_on_unread(
    option: str, background: Background, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """They are for hosts that are not managed."""
    for stage in playing(background, setting, tmp_path_factory, "--set", option):
        with stage.tunnel(MANAGED) as sock:
            sock.sendall(a_request())
            assert read_response(sock).body == b"by rules"
        assert stage.original.requests == []


def test_a_reverse_proxy_of_bytes(
    background: Background, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It would not look at them, and so opens no connection to a managed host; the log says why."""
    original = Provider(respond())
    with background.serving(original):
        config = write_mesh(tmp_path_factory.mktemp("reverse"), Host(name=MANAGED, port=original.port))
        mode = f"reverse:tcp://{MANAGED}:{original.port}"
        with Proxy(setting, config, "--mode", mode) as proxy, connect(proxy.port) as sock:
            sock.sendall(a_request())
            assert sock.recv(4096) == b""
            proxy.wait_for_line("refused a connection to localhost: only what its rules say")
    assert original.requests == []
