"""Clients: curl and raw sockets; httpx and the openai SDK with the proxy set."""

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import openai

from tests.support.proxy import Proxy

TIMEOUT_S = 30.0
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
        return curl(proxy, url, "--header", "Content-Type: application/json", "--data", body)
    with http_client(proxy) as client:
        return answer_of(client.post(url, content=body, headers=JSON))


def answer_of(response: httpx.Response) -> Answer:
    """The answer in httpx's response, whose body is kept as it came."""
    return Answer(response.status_code, dict(response.headers.items()), response.content)


def curl(proxy: Proxy, url: str, *arguments: str) -> Answer:
    """What curl gets through the proxy."""
    common = ["--disable", "--silent", "--show-error", "--include", "--max-time", str(TIMEOUT_S), "--noproxy", ""]
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
    """An httpx client of the proxy, which trusts mitmproxy's authority."""
    return httpx.Client(
        proxy=f"{scheme}://127.0.0.1:{proxy.port}",
        http2=http2,
        verify=client_context(proxy),
        timeout=TIMEOUT_S,
        trust_env=False,
        limits=httpx.Limits(max_connections=None),
    )


def client_context(proxy: Proxy) -> ssl.SSLContext:
    """What a client of the proxy trusts."""
    return ssl.create_default_context(cafile=proxy.setting.client_ca)


def sdk(client: httpx.Client, base_url: str, key: str = "the-clients-own") -> openai.OpenAI:
    """The openai SDK over an httpx client, without retries of its own."""
    return openai.OpenAI(base_url=base_url, api_key=key, http_client=client, max_retries=0)


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
