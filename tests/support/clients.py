"""Clients: curl and raw sockets; httpx and the openai SDK with the proxy set."""

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import h2.connection
import h2.errors
import h2.events
import httpx
import openai

from tests.support.proxy import Proxy

TIMEOUT_S = 30.0
_CONNECTION_WINDOW = 16 * 1024 * 1024  # so that one stream that is not read does not stop the others
QUESTION = '{"messages":[{"role":"user","content":"请介绍你自己"}]}'
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(proxy: Proxy, url: str, body: str = QUESTION) -> Answer:
    """The tutorial's request, with curl as there, or with httpx where there is no curl."""
    if shutil.which("curl"):
        return _curl(proxy, url, "--header", "Content-Type: application/json", "--data", body)
    with http_client(proxy) as client:
        return answer_of(client.post(url, content=body, headers=JSON))


def answer_of(response: httpx.Response) -> Answer:
    """The answer in httpx's response, whose body is kept as it came."""
    return Answer(response.status_code, dict(response.headers.items()), response.content)


def _curl(proxy: Proxy, url: str, *arguments: str) -> Answer:
    """What curl gets through the proxy."""
    common = [
        "--disable",
        "--silent",
        "--show-error",
        "--include",
        "--max-time",
        str(TIMEOUT_S),
        "--noproxy",
        "",
    ]
    tls = ["--suppress-connect-headers", "--cacert", proxy.setting.client_ca]
    done = subprocess.run(
        ["curl", *common, *tls, "--proxy", proxy.url, url, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S * 2,
        check=False,
    )
    assert done.returncode == 0, f"curl: {done.stderr.decode()}"
    return parse(done.stdout)


def parse(raw: bytes) -> Answer:
    """The answer in the bytes of an HTTP/1 response with a plain body."""
    top, _, body = raw.partition(b"\r\n\r\n")
    status_line, *lines = top.decode("latin-1").split("\r\n")
    status = re.match(r"HTTP/[\d.]+ (\d{3})", status_line)
    assert status, f"not a status line: {status_line!r}"
    fields = (line.partition(":") for line in lines)
    return Answer(int(status[1]), {name.lower(): value.strip() for name, _, value in fields}, body)


def http_client(proxy: Proxy, *, http2: bool = False, scheme: str = "http") -> httpx.Client:
    """An httpx client of the proxy, which trusts mitmproxy's CA; with `http2`, it speaks nothing else."""
    return httpx.Client(
        proxy=f"{scheme}://127.0.0.1:{proxy.port}",
        http2=http2,
        verify=client_context(proxy, http2=http2),
        timeout=TIMEOUT_S,
        trust_env=False,
        limits=httpx.Limits(max_connections=None),
        event_hooks={"response": [assert_http2] if http2 else []},
    )


def assert_http2(response: httpx.Response) -> None:
    """The response came over HTTP/2."""
    assert response.http_version == "HTTP/2"


class _Http2First(ssl.SSLContext):
    """Offers HTTP/2 first, as other clients do: httpx asks for HTTP/1.1 first, and mitmproxy obliges."""

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Put h2 first if it is among them."""
        super().set_alpn_protocols(sorted(alpn_protocols, key=lambda name: name != "h2"))


def client_context(proxy: Proxy, *, http2: bool = False) -> ssl.SSLContext:
    """What a client of the proxy trusts."""
    context = (_Http2First if http2 else ssl.SSLContext)(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(proxy.setting.client_ca)
    return context


def sdk(base_url: str, proxy: Proxy | None) -> openai.OpenAI:
    """The openai SDK, through the proxy if there is one, without retries of its own."""
    transport = openai.DefaultHttpxClient(
        proxy=proxy.url if proxy else None, trust_env=False, timeout=TIMEOUT_S
    )
    return openai.OpenAI(base_url=base_url, api_key="the-clients-own", http_client=transport, max_retries=0)


def connect(port: int, *, receive_buffer: int | None = None) -> socket.socket:
    """A plain connection to the proxy."""
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(TIMEOUT_S)
    sock.connect(("127.0.0.1", port))
    return sock


def request_bytes(target: str, host: str, body: bytes, *headers: str, version: str = "1.1") -> bytes:
    """A POST as it goes over the wire."""
    lines = [f"POST {target} HTTP/{version}", f"Host: {host}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join([*lines, "Content-Type: application/json"]) + "\r\n\r\n").encode() + body


def read_to_end(sock: socket.socket) -> bytes:
    """Everything until the other side closes."""
    received = bytearray()
    while data := sock.recv(65536):
        received += data
    return bytes(received)


def read_response(sock: socket.socket) -> Answer:
    """One response with a content-length, from a connection that stays open."""
    received = bytearray()
    while b"\r\n\r\n" not in received:
        received += _some(sock)
    answer = parse(bytes(received))
    missing = int(answer.headers["content-length"]) - len(answer.body)
    while missing > 0:
        data = _some(sock)
        received += data
        missing -= len(data)
    return parse(bytes(received))


def _some(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    assert data, "the proxy closed the connection in the middle of a response"
    return data


def statuses(answers: Sequence[Answer]) -> list[int]:
    """Their statuses."""
    return [answer.status for answer in answers]


class Http2Connection:
    """One HTTP/2 connection through CONNECT, frame by frame; `with` opens and closes it."""

    def __init__(self, proxy: Proxy, host: str) -> None:
        self._host = host
        self._proxy = proxy
        self._h2 = h2.connection.H2Connection()
        self._data: dict[int, bytearray] = {}
        self._unread: dict[int, int] = {}
        self._statuses: dict[int, int] = {}
        self._sock: ssl.SSLSocket

    def __enter__(self) -> Self:
        sock = connect(self._proxy.port)
        sock.sendall(f"CONNECT {self._host}:443 HTTP/1.1\r\nHost: {self._host}:443\r\n\r\n".encode())
        top = b""
        while not top.endswith(b"\r\n\r\n"):
            top += sock.recv(1)
        assert parse(top).status == 200
        context = client_context(self._proxy)
        context.set_alpn_protocols(["h2"])
        self._sock = context.wrap_socket(sock, server_hostname=self._host)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_CONNECTION_WINDOW)
        self._flush()
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def post(self, body: bytes, path: str = "/") -> int:
        """Send a request; the number of its stream."""
        stream = self._queue(body, path)
        self._flush()
        return stream

    def post_with_trailer(self, body: bytes, name: str, value: str) -> int:
        """Send a request that ends in a trailer; the number of its stream."""
        stream = self._queue(body, "/", is_all=False)
        self._h2.send_headers(stream, [(name, value)], end_stream=True)
        self._flush()
        return stream

    def post_and_cancel(self, body: bytes) -> None:
        """Send a request and its RST_STREAM in one write."""
        self.cancel(self._queue(body, "/"))

    def _queue(self, body: bytes, path: str, *, is_all: bool = True) -> int:
        stream = self._h2.get_next_available_stream_id()
        self._data[stream], self._unread[stream] = bytearray(), 0
        headers = [(":method", "POST"), (":scheme", "https"), (":authority", self._host), (":path", path)]
        self._h2.send_headers(stream, headers)
        self._h2.send_data(stream, body, end_stream=is_all)
        return stream

    def status(self, stream: int) -> int:
        """Read until the stream's response begins; its status."""
        while stream not in self._statuses:
            self._read_for(stream)
        return self._statuses[stream]

    def cancel(self, stream: int) -> None:
        """Send RST_STREAM."""
        self._h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        self._flush()

    def read_until(self, stream: int, expected: bytes) -> None:
        """Read until the stream's answer holds the bytes; other streams are not told to go on."""
        while expected not in self._data[stream]:
            self._read_for(stream)

    def read_until_size(self, stream: int, size: int) -> None:
        """Read until the stream's answer has that many bytes."""
        while len(self._data[stream]) < size:
            self._read_for(stream)

    def _read_for(self, stream: int) -> None:
        if self._unread[stream]:
            self._h2.acknowledge_received_data(self._unread[stream], stream)
            self._unread[stream] = 0
        self._flush()
        received = self._sock.recv(65536)
        assert received, "the proxy closed the connection"
        for event in self._h2.receive_data(received):
            assert not isinstance(event, h2.events.StreamReset), "the proxy reset a stream"
            if isinstance(event, h2.events.ResponseReceived):
                self._statuses[event.stream_id] = int(dict(event.headers or [])[b":status"])
            if isinstance(event, h2.events.DataReceived):
                self._data[event.stream_id] += event.data or b""
                self._unread[event.stream_id] += event.flow_controlled_length
        self._flush()

    def _flush(self) -> None:
        self._sock.sendall(self._h2.data_to_send())
