"""Streams pass event by event, whole and unchanged, and no faster than the client takes them."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.background import DEADLINE_S, Background, seconds, wait_until
from tests.support.certificates import Authority
from tests.support.clients import (
    JSON,
    QUESTION,
    TIMEOUT_S,
    Http2Connection,
    client_context,
    connect,
    http_client,
    request_bytes,
    sdk,
)
from tests.support.mesh import Host, write_mesh
from tests.support.provider import SSE_HEAD, Exchange, Feed, Flood, Provider, chunk, respond
from tests.support.proxy import Proxy, Setting

EVENTS = [
    b'data: {"n": 1}\n\n',
    "event: 二\r\nid: 7\r\ndata: 请\r\n\r\n".encode(),
    b": a comment\n\n",
    b"data: half of an ev",
    b"ent\n\n\xff\xfe not UTF-8 \x00\n\n",
    b"data: [DONE]\n\n",
]
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module", name="stage")
def on_stage(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Proxy, Provider]]:
    """A proxy and a provider, whose behaviour is each test's own."""
    provider = Provider(respond(), authority.issue("primary.test"))
    with background.serving(provider):
        config = write_mesh(
            tmp_path_factory.mktemp("streaming"), Host(name="primary.test", port=provider.port)
        )
        with Proxy(setting, config) as proxy:
            yield proxy, provider


def read(pieces: Iterator[bytes], size: int) -> bytes:
    """At least that much of a stream, and not a piece more than needed for it."""
    received = b""
    while len(received) < size:
        received += next(pieces)
    return received


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_event_arrives_before_the_next_is_sent(
    background: Background, stage: tuple[Proxy, Provider], scheme: str
) -> None:
    """Each event is there while the provider still waits to be told to send the next; no byte is changed."""
    proxy, provider = stage
    feed = provider.behaviour = Feed(background)
    feed.send(SSE_HEAD)
    with http_client(proxy, http2=scheme == "https") as client, ExitStack() as stack:
        request = client.stream("POST", f"{scheme}://primary.test", content=QUESTION, headers=JSON)
        response = stack.enter_context(request)  # the headers are there before any event
        assert response.headers["content-type"] == "text/event-stream"
        pieces = response.iter_raw()
        for event in EVENTS:
            feed.event(event)
            assert read(pieces, len(event)) == event
        feed.send(chunk(b""))
        feed.done()
        assert list(pieces) == []


def test_the_end_of_an_http_1_0_stream(background: Background, stage: tuple[Proxy, Provider]) -> None:
    """A client without chunks gets the events as they are, and the end of the connection at their end."""
    proxy, provider = stage
    feed = provider.behaviour = Feed(background)
    feed.send(SSE_HEAD)
    for event in EVENTS:
        feed.event(event)
    feed.send(chunk(b""))
    feed.done()
    with connect(proxy.port) as sock:
        sock.sendall(request_bytes("http://primary.test/", "primary.test", QUESTION.encode(), version="1.0"))
        received = b"".join(iter(lambda: sock.recv(65536), b""))
    assert received.partition(b"\r\n\r\n")[2] == b"".join(EVENTS)


def sdk_event(content: str) -> bytes:
    """A chunk of a completion as the SDK expects it."""
    choice = {"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": None}
    event = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(event)}\n\n".encode()


def test_the_openai_sdk_streams(background: Background, stage: tuple[Proxy, Provider]) -> None:
    """Its own `stream: true` reaches the provider; a token is there before the next."""
    proxy, provider = stage
    feed = provider.behaviour = Feed(background)
    feed.send(SSE_HEAD)
    feed.event(sdk_event("to"))
    with sdk("http://primary.test/v1", proxy) as client:
        messages = json.loads(QUESTION)["messages"]
        stream = client.chat.completions.create(model="any", messages=messages, stream=True)
        with stream:
            assert next(stream).choices[0].delta.content == "to"
            feed.event(sdk_event("ken"))
            assert next(stream).choices[0].delta.content == "ken"
            feed.event(b"data: [DONE]\n\n")
            feed.send(chunk(b""))
            feed.done()
            assert list(stream) == []
    assert provider.requests[-1].json() == {"messages": messages, "model": "a-model", "stream": True}


def test_a_cut_stream_is_an_error_to_the_openai_sdk(
    background: Background, stage: tuple[Proxy, Provider]
) -> None:
    """Half an answer does not look like a whole one."""
    proxy, provider = stage
    feed = provider.behaviour = Feed(background)
    feed.send(SSE_HEAD)
    feed.event(sdk_event("half"))
    with sdk("http://primary.test/v1", proxy) as client:
        messages = json.loads(QUESTION)["messages"]
        stream = client.chat.completions.create(model="any", messages=messages, stream=True)
        with stream:
            assert next(stream).choices[0].delta.content == "half"
            feed.reset()
            with pytest.raises(Exception, match=r"(?i)incomplete|closed|connection"):
                list(stream)


async def echo_in_pieces(exchange: Exchange) -> None:
    """Answer with the request's own text: as events if it asks for a stream, whole if not."""
    question = exchange.request.json()
    text = question["messages"][0]["content"].encode()
    if not question.get("stream"):
        await asyncio.sleep(0.05)
        await respond(200, text)(exchange)
        return
    await exchange.send(SSE_HEAD)
    for start in range(0, len(text), 16):
        await exchange.send(chunk(text[start : start + 16]))
        await asyncio.sleep(0.01)
    await exchange.send(chunk(b""))


async def ask_many(proxy: Proxy, count: int) -> list[tuple[str, str]]:
    """What was asked and answered, by clients of HTTP/1 and HTTP/2, for streams and not."""
    limits = httpx.Limits(max_connections=100)
    tls = client_context(proxy, http2=True)
    common: dict[str, Any] = {"proxy": proxy.url, "timeout": TIMEOUT_S, "trust_env": False, "limits": limits}
    async with (
        httpx.AsyncClient(**common) as plain,
        httpx.AsyncClient(**common, verify=tls, http2=True) as secure,
    ):

        async def ask(number: int) -> tuple[str, str]:
            text = f"question {number}; " * (10 + number % 10)
            body = {"messages": [{"role": "user", "content": text}], "stream": number % 4 != 0}
            client, scheme = (secure, "https") if number % 2 else (plain, "http")
            answer = await client.post(f"{scheme}://primary.test", json=body)
            assert answer.http_version == ("HTTP/2" if number % 2 else "HTTP/1.1")
            return text, answer.text

        return await asyncio.gather(*(ask(number) for number in range(count)))


def test_many_mixed_streams_at_once(stage: tuple[Proxy, Provider]) -> None:
    """160 at a time, and each client gets what it asked for."""
    proxy, provider = stage
    provider.behaviour = echo_in_pieces
    answers = asyncio.run(ask_many(proxy, 160))
    assert [asked for asked, answered in answers if asked != answered] == []


def settled(value: Callable[[], int]) -> int:
    """The value when it has not changed for a second."""
    last, since = value(), seconds()
    deadline = since + TIMEOUT_S
    while seconds() - since < 1 or last == 0:
        assert seconds() < deadline, f"still growing: {last}"
        time.sleep(0.05)
        if value() != last:
            last, since = value(), seconds()
    return last


def test_a_client_that_stops_reading(stage: tuple[Proxy, Provider]) -> None:
    """The provider has to wait for it, the proxy does not buffer; later the client gets everything."""
    proxy, provider = stage
    flood = provider.behaviour = Flood(64 * MEGABYTE)
    with connect(proxy.port, receive_buffer=65536) as sock:
        headers = ("Connection: close",)
        sock.sendall(request_bytes("http://primary.test/", "primary.test", QUESTION.encode(), *headers))
        assert settled(lambda: flood.taken) < 16 * MEGABYTE
        received = bytearray()
        while data := sock.recv(MEGABYTE):
            received += data
    body = received.partition(b"\r\n\r\n")[2]
    assert len(body) == flood.total
    assert body == flood.piece * (flood.total // len(flood.piece))


def test_an_http2_client_that_stops_reading(stage: tuple[Proxy, Provider]) -> None:
    """Its flow control reaches the provider; another stream of the same connection goes on meanwhile."""
    proxy, provider = stage
    flood = provider.behaviour = Flood(32 * MEGABYTE)
    with Http2Connection(proxy, "primary.test") as client:
        stream = client.post(QUESTION.encode())
        assert settled(lambda: flood.taken) < 16 * MEGABYTE
        provider.behaviour = respond(200, b"meanwhile")
        client.read_until(client.post(QUESTION.encode()), b"meanwhile")
        assert flood.taken < 16 * MEGABYTE
        client.read_until_size(stream, flood.total)
    wait_until(lambda: flood.taken == flood.total, "the provider knows that all is taken")


def test_a_stream_to_a_client_that_left_ends(stage: tuple[Proxy, Provider]) -> None:
    """A client that stops reading and then leaves frees the provider."""
    proxy, provider = stage
    flood = provider.behaviour = Flood(64 * MEGABYTE)
    before = len(provider.exchanges)
    with connect(proxy.port, receive_buffer=65536) as sock:
        sock.sendall(request_bytes("http://primary.test/", "primary.test", QUESTION.encode()))
        settled(lambda: flood.taken)
    assert provider.exchanges[before].ended.wait(DEADLINE_S)


def test_a_stream_without_a_length_or_chunks(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """An answer that ends with the provider's connection is complete, and is framed for the client."""
    feed = Feed(background)
    provider = Provider(feed, authority.issue("primary.test"))
    feed.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
    feed.close()
    with background.serving(provider):
        config = write_mesh(tmp_path, Host(name="primary.test", port=provider.port))
        with Proxy(setting, config) as proxy, http_client(proxy) as client:
            answer = client.post("http://primary.test", content=QUESTION, headers=JSON)
    assert (answer.status_code, answer.content) == (200, b"data: 1\n\n")
    assert answer.headers["transfer-encoding"] == "chunked"
