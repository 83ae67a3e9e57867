"""What a client can write that no text can hold, or no terminal should: it is told of all the same."""

import json
import socket
import ssl
from pathlib import Path

import h2.config
import h2.connection

from tests.support.background import Background, wait_until
from tests.support.clients import client_context, connect, read_to_end, request_bytes
from tests.support.mesh import Host, write_mesh
from tests.support.provider import Provider, respond
from tests.support.proxy import Proxy, Setting
from tests.support.saved import read_flows

HOST = "odd.test"
BODY = b'{"messages":[]}'


def over_http1(proxy: Proxy, method: bytes) -> None:
    """A request with any bytes for a method."""
    with connect(proxy.port) as sock:
        sock.sendall(
            request_bytes(f"http://{HOST}/v1", HOST, BODY, "Connection: close").replace(b"POST", method, 1)
        )
        read_to_end(sock)


def over_http2(proxy: Proxy, path: bytes) -> None:
    """A request with any bytes for a path and a header."""
    with connect(proxy.port) as plain:
        plain.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        plain.recv(65536)
        context = client_context(proxy)
        context.set_alpn_protocols(["h2"])
        with context.wrap_socket(plain, server_hostname=HOST) as sock:
            _send(sock, path)


def _send(sock: ssl.SSLSocket, path: bytes) -> None:
    config = h2.config.H2Configuration(
        validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding=None
    )
    client = h2.connection.H2Connection(config)
    client.initiate_connection()
    fields = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", HOST.encode()), (b":path", path)]
    client.send_headers(1, [*fields, (b"user-agent", b"\xff\x9b31m")])
    client.send_data(1, BODY, end_stream=True)
    sock.sendall(client.data_to_send())
    while not any(type(event).__name__ in ("StreamEnded", "StreamReset") for event in _events(sock, client)):
        pass


def _events(sock: socket.socket, client: h2.connection.H2Connection) -> list[object]:
    received = sock.recv(65536)
    assert received, "the proxy closed the connection"
    return list(client.receive_data(received))


def test_what_no_text_can_hold(background: Background, setting: Setting, tmp_path: Path) -> None:
    """Each request is saved and told of, and no byte of it means anything to a terminal."""
    saved, access = tmp_path / "flows.mitm", tmp_path / "access.log"
    provider = Provider(respond(200))
    with background.serving(provider):
        config = write_mesh(tmp_path, Host(name=HOST, port=provider.port, tls=False, path=None))
        options = ("-w", str(saved), "--set", f"llm_access_log={access}")
        with Proxy(setting, config, *options) as proxy:
            over_http1(proxy, b"P\xff")
            over_http1(proxy, b"P\x1b]0;TITLE\x07")
            over_http2(proxy, b"/v1\xff\xfe")
            wait_until(lambda: len(proxy.requests()) == 3, "all requests are told of")
            told = proxy.requests()

    assert [line.split("] ")[-1].split(" ")[0] for line in told] == [
        "P\\udcff",
        "P\\x1b]0;TITLE\\x07",
        "POST",
    ]
    decisions = [flow.metadata["llm_fallback"] for flow in read_flows(saved)]
    assert [decision["method"] for decision in decisions] == ["P\\udcff", "P\\x1b]0;TITLE\\x07", "POST"]
    assert decisions[2]["path"] == "/v1\\udcff\\udcfe"
    entries = [json.loads(line) for line in access.read_text().splitlines()]
    assert entries[2]["user_agent"] == "\\udcff\\udc9b31m"
