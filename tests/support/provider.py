"""A provider that does what the test says, down to the bytes and the way its connections end.

A `Behaviour` handles one request on a raw connection; a `Feed` is one that the test drives step by step.
"""

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from weakref import WeakKeyDictionary

from tests.support.background import Background

ADDRESS = "127.0.0.1"
_LINGER_NOT = struct.pack("ii", 1, 0)  # SO_LINGER with a timeout of 0: closing sends RST
_CLIENT_HELLO = b"\x16"


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One request as it arrived; `raw` is its head and its body."""

    method: str
    path: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes
    sni: str | None

    def __repr__(self) -> str:
        return f"Request({self.method} {self.path.partition('?')[0]}, body={len(self.body)} bytes)"

    def header(self, name: str) -> str | None:
        """The only value of a header; None if there is none."""
        values = [value for known, value in self.headers if known.lower() == name.lower()]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)


class Exchange:
    """A request, and the connection to answer it on."""

    def __init__(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self._reader = reader
        self._writer = writer
        self.ended = threading.Event()

    async def send(self, data: bytes) -> None:
        """Send bytes, and wait while the other side does not take them."""
        self._writer.write(data)
        await self._writer.drain()

    async def hung_up(self) -> None:
        """Wait until the other side closes the connection."""
        with suppress(ConnectionError):
            while await self._reader.read(65536):
                pass

    def close(self) -> None:
        """End the connection in an orderly way."""
        self._writer.close()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        reset(self._writer)


type Behaviour = Callable[[Exchange], Awaitable[None]]


class Provider:
    """A server on 127.0.0.1; `async with` starts and stops it.

    `behaviour` may be replaced at any time. With a `refusal`, that is the answer as soon as a request begins.
    """

    def __init__(
        self, behaviour: Behaviour, tls: ssl.SSLContext | None = None, *, refusal: bytes | None = None
    ) -> None:
        self.behaviour = behaviour
        self._refusal = refusal
        self.requests: list[Request] = []
        self.hellos = 0  # TLS handshakes begun, those that failed included
        self.connections = 0  # and those that came about
        self.exchanges: list[Exchange] = []
        self.port = 0
        self._tls = tls
        self._sni: WeakKeyDictionary[object, str | None] = WeakKeyDictionary()
        self._server: asyncio.Server | None = None
        self._defects: list[Exception] = []
        self._tasks: set[asyncio.Task[None]] = set()
        if tls:
            tls.sni_callback = self._note_sni

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, ADDRESS, 0, ssl=self._tls, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._defects:
            raise ExceptionGroup("the provider of this test does not work", self._defects)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                if self._refusal is not None:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._refusal)
                    while await reader.read(65536):
                        pass
                while not writer.is_closing():
                    sni = self._sni.get(writer.get_extra_info("ssl_object")) if self._tls else None
                    request = await _read_request(reader, sni)
                    if request is None:
                        writer.write(head(400, (("content-length", "0"), ("connection", "close"))))
                        return
                    await self._handle(request, reader, writer)
        except Exception as error:
            self._defects.append(error)
            raise
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _note_sni(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        self.hellos += 1
        self._sni[connection] = name

    async def _handle(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        exchange = Exchange(request, reader, writer)
        self.requests.append(request)
        self.exchanges.append(exchange)
        try:
            await self.behaviour(exchange)
        finally:
            exchange.ended.set()


def reset(writer: asyncio.StreamWriter) -> None:
    """Cut a connection with RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()


def respond(
    status: int = 200,
    body: bytes = b'{"object":"chat.completion","model":"none"}',
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),),
) -> Behaviour:
    """Answer with this, and keep the connection."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(head(status, (*headers, ("content-length", str(len(body))))))
        if exchange.request.method != "HEAD":
            await exchange.send(body)

    return behave


async def close_before_headers(exchange: Exchange) -> None:
    """Take the request and close the connection."""
    exchange.close()


async def reset_before_headers(exchange: Exchange) -> None:
    """Take the request and reset the connection."""
    exchange.reset()


async def garbage(exchange: Exchange) -> None:
    """Answer something that is not HTTP."""
    await exchange.send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    exchange.close()


async def hang(exchange: Exchange) -> None:
    """Take the request and say nothing, until the other side leaves."""
    await exchange.hung_up()


def gathering(size: int) -> Behaviour:
    """Answer nobody before that many requests are there; then echo to each its body."""
    barrier = asyncio.Barrier(size)

    async def behave(exchange: Exchange) -> None:
        await barrier.wait()
        body = exchange.request.body
        await exchange.send(head(200, (("content-length", str(len(body))),)) + body)

    return behave


def head(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    """A response head."""
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunk(data: bytes) -> bytes:
    """A chunk of a chunked body; of no data, its end."""
    return b"%x\r\n%b\r\n" % (len(data), data)


SSE_HEAD = head(200, (("content-type", "text/event-stream"), ("transfer-encoding", "chunked")))


class Feed:
    """A behaviour that sends what the test says, when the test says it, for one request."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._steps: asyncio.Queue[Callable[[Exchange], Awaitable[None]] | None] = asyncio.Queue()

    async def __call__(self, exchange: Exchange) -> None:
        """Take the steps as they come."""
        while (step := await self._steps.get()) is not None:
            await step(exchange)

    def send(self, data: bytes) -> None:
        """Send bytes."""

        async def step(exchange: Exchange) -> None:
            await exchange.send(data)

        self._add(step)

    def event(self, data: bytes) -> None:
        """Send an event of a chunked stream."""
        self.send(chunk(data))

    def reset(self) -> None:
        """Reset the connection."""
        self._add(reset_before_headers)

    def close(self) -> None:
        """Close the connection."""
        self._add(close_before_headers)

    def done(self) -> None:
        """The answer is complete; the connection stays."""
        self._add(None)

    def _add(self, step: Callable[[Exchange], Awaitable[None]] | None) -> None:
        self._background.call(self._steps.put_nowait, step)


@dataclass(slots=True)
class Flood:
    """A behaviour that sends a lot, and counts what the other side has taken so far."""

    total: int
    content_type: str = "text/event-stream"
    taken: int = 0
    piece: bytes = field(default=b"data: " + b"x" * 65_528 + b"\n\n")

    async def __call__(self, exchange: Exchange) -> None:
        """Send until everything is sent."""
        headers = (("content-type", self.content_type), ("content-length", str(self.total)))
        await exchange.send(head(200, headers))
        while self.taken < self.total:
            await exchange.send(self.piece[: self.total - self.taken])
            self.taken += min(len(self.piece), self.total - self.taken)


async def _read_request(reader: asyncio.StreamReader, sni: str | None) -> Request | None:
    """The next request; None if somebody tries TLS where there is none."""
    raw = await reader.readexactly(1)
    if raw == _CLIENT_HELLO:
        return None
    raw += await reader.readuntil(b"\r\n\r\n")
    request_line, *lines = raw.decode("latin-1").split("\r\n")[:-2]
    method, path, version = request_line.split(" ")
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    body = await _read_body(reader, {name.lower(): value for name, value in headers})
    return Request(method, path, version, headers, body, raw + body, sni)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        return await _read_chunks(reader)
    return await reader.readexactly(int(headers.get("content-length", "0")))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return bytes(body)
