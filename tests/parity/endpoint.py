"""One endpoint of a provider: a server on loopback that behaves as it is told."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from tests.parity.scenario import Behaviour, Fault, Raw, Reply
from tests.support.provider import head, reset

_ENDS_WITH_RST = frozenset({Fault.RESET, Fault.CUT_RESET, Fault.UNTIL_RESET})
_NOBODY_LISTENS = (Fault.REFUSE, Fault.BLACKHOLE)
_STAYS = frozenset({Fault.SILENT, Fault.STALL})
_BETWEEN_PIECES_S = 0.05  # so that none is read with the next; RST even discards what is on its way
_HUGE = 70_000
_MISSING = 100  # bytes that a cut body is short of
_FILLING = 4  # connections that fill the queue of a listener who accepts none


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request; header names in lower case."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body_size: int


type Told = Callable[["Endpoint", Arrived], asyncio.Future[None] | None]


class Endpoint:
    """One endpoint. Its port stays its own while nobody listens on it."""

    def __init__(self, name: str, address: str, port: int, told: Told, *, keep_alive: bool) -> None:
        self.name = name
        self.address = address
        self._script: list[Behaviour] = [200]
        self._method = ""
        self._told = told
        self._keep_alive = keep_alive
        self._reserved = self._bound(port)
        self.port: int = self._reserved.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._blackhole: list[socket.socket] = []
        self._tls: ssl.SSLContext | None = None
        self._server_names: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._connections: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def speak_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS from the beginning, and tell requests' server name as if it was a header."""

        def remember(sock: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            self._server_names[sock] = name or "none"

        context.sni_callback = remember
        self._tls = context

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"

    async def become(self, behaviours: tuple[Behaviour, ...]) -> None:
        """Behave so, once each; and so as the last one says from then on."""
        self._script = list(behaviours)
        self._fill_or_free()
        if self._script[0] in _NOBODY_LISTENS:
            self._close_listener()
            for writer in self._connections:
                writer.close()
        elif self._server is None:
            self._server = await asyncio.start_server(
                self._accept, sock=self._bound(self.port), backlog=256, ssl=self._tls
            )
        if self._script[0] is Fault.BLACKHOLE:
            self._fill_or_free(fill=True)

    async def stop(self) -> None:
        """Give everything back."""
        self._close_listener()
        self._fill_or_free()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._reserved.close()

    def _close_listener(self) -> None:
        if self._server:
            self._server.close()
            self._server = None

    def _fill_or_free(self, *, fill: bool = False) -> None:
        """Listen without accepting, and fill the queue: the kernel then drops what tries to connect."""
        for sock in self._blackhole:
            sock.close()
        self._blackhole.clear()
        if fill:
            listener = self._bound(self.port)
            listener.listen(0)
            self._blackhole.append(listener)
            for _ in range(_FILLING):
                sock = socket.socket()
                sock.setblocking(False)  # noqa: FBT003 - its only argument
                sock.connect_ex((self.address, self.port))
                self._blackhole.append(sock)

    def _bound(self, port: int) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((self.address, port))
        return sock

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not (writer.is_closing() or self._script[0] is Fault.HANG_UP):
                    arrived = await _read_request(reader)
                    if secured := writer.get_extra_info("ssl_object"):
                        named = ("server name", self._server_names[secured])
                        arrived = replace(arrived, headers=(*arrived.headers, named))
                    self._method = arrived.line.partition(" ")[0]
                    if held := self._told(self, arrived):
                        await held
                    await self._answer(reader, writer)
                    await writer.drain()
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behaviour = self._script[0]
        if len(self._script) > 1:
            await self.become(tuple(self._script[1:]))
        if isinstance(behaviour, int):
            behaviour = Reply(behaviour)
        if isinstance(behaviour, Reply):
            writer.write(self._whole(behaviour))
            if not self._keep_alive:
                writer.close()
            return
        if isinstance(behaviour, Raw):
            for piece in behaviour.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(_BETWEEN_PIECES_S)
            await reader.read()
            return
        writer.write(_raw(behaviour, f"{self.name} says {behaviour}".encode()))
        await writer.drain()
        if behaviour in _STAYS:
            await reader.read()
        if behaviour in _ENDS_WITH_RST:
            await asyncio.sleep(_BETWEEN_PIECES_S if behaviour is not Fault.RESET else 0)
            reset(writer)
        writer.close()

    def _whole(self, reply: Reply) -> bytes:
        """A complete answer."""
        body = (f"{self.name} says {reply.status}" if reply.body is None else reply.body).encode()
        may_have_body = reply.status not in (204, 304)
        connection = ("connection", "keep-alive" if self._keep_alive else "close")
        length = [("content-length", str(len(body)))] if may_have_body else []
        top = head(reply.status, (("content-type", "text/x-endpoint"), *reply.headers, *length, connection))
        return top + body if may_have_body and self._method != "HEAD" else top


def _raw(fault: Fault, body: bytes) -> bytes:
    """What is sent before the connection ends."""
    length = f"content-length: {len(body)}"
    short = f"content-length: {len(body) + _MISSING}"
    closing = "connection: close"
    heads = {
        Fault.CUT: _head(200, short),
        Fault.CUT_RESET: _head(200, short),
        Fault.CUT_500: _head(500, short),
        Fault.STALL: _head(200, short),
        Fault.UNTIL_CLOSE: _head(200, closing),
        Fault.UNTIL_RESET: _head(200, closing),
        Fault.HUGE_HEAD: _head(200, length, f"x-huge: {'x' * _HUGE}"),
        Fault.CONTINUE_200: b"HTTP/1.1 100 Continue\r\n\r\n" + _head(200, length, closing),
        Fault.CONTINUE_500: b"HTTP/1.1 100 Continue\r\n\r\n" + _head(500, length, closing),
        Fault.HINTS_200: b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + _head(200, length, closing),
        Fault.BODY_204: _head(204, closing),
    }
    if top := heads.get(fault):
        return top + body
    whole = {
        Fault.GARBAGE: b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        Fault.PARTIAL_HEAD: _head(200, length)[:-10],
        Fault.CUT_CHUNKED: _head(200, "transfer-encoding: chunked") + b"%x\r\n%b\r\n" % (len(body), body),
        Fault.BODY_304: _head(304, length, closing),
    }
    return whole.get(fault, b"")


def _head(status: int, *headers: str) -> bytes:
    fields = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in headers))
    return head(status, (("content-type", "text/x-endpoint"), *fields))


async def _read_request(reader: asyncio.StreamReader) -> Arrived:
    top = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *lines = top.split("\r\n")[:-2]
    fields = ((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    headers = tuple(sorted(fields))
    size = int(dict(headers).get("content-length", "0"))
    if dict(headers).get("transfer-encoding") == "chunked":
        size = 0
        while chunk := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(chunk + 2)
            size += chunk
        await reader.readexactly(2)
    else:
        await reader.readexactly(size)
    return Arrived(line.removesuffix(" HTTP/1.1"), headers, size)
