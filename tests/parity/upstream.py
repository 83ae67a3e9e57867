"""The endpoints of one play: on 127.0.0.1, doing what the timeline says."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from tests.parity.scenario import Behaviour, Fault, Scenario
from tests.support.provider import ADDRESS, head, reset

_ENDS_WITH_RST = frozenset({Fault.RESET, Fault.CUT_RESET, Fault.UNTIL_RESET})
_BEFORE_RST_S = 0.05  # the answer has to be read first: RST discards what is on its way
_HUGE = 70_000
_MISSING = 100  # bytes that a cut body is short of


class Endpoint:
    """One endpoint. Its port stays its own while nobody listens on it."""

    def __init__(
        self, name: str, arrived: Callable[["Endpoint"], asyncio.Future[None] | None], *, keep_alive: bool
    ) -> None:
        self.name = name
        self.behaviour: Behaviour = 200
        self._is_once = False
        self._method = ""
        self._arrived = arrived
        self._keep_alive = keep_alive
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def become(self, behaviour: Behaviour, *, once: bool = False) -> None:
        """Behave so from now on, or only once."""
        self.behaviour = behaviour
        self._is_once = once
        if behaviour is Fault.REFUSE:
            await self._close_listener()
            for writer in self._connections:
                writer.close()
        elif self._server is None:
            self._server = await asyncio.start_server(self._accept, sock=_bound(self.port), backlog=256)

    async def stop(self) -> None:
        """Give everything back."""
        await self._close_listener()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._reserved.close()

    async def _close_listener(self) -> None:
        if self._server:
            self._server.close()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not (writer.is_closing() or self.behaviour is Fault.HANG_UP):
                    self._method = await _read_request(reader)
                    if held := self._arrived(self):
                        await held
                    await self._answer(writer)
                    await writer.drain()
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        behaviour = self.behaviour
        if self._is_once:
            await self.become(200)
        body = f"{self.name} says {behaviour}".encode()
        length = f"content-length: {len(body)}"
        if isinstance(behaviour, int):
            connection = "keep-alive" if self._keep_alive else "close"
            may_have_body = behaviour not in (204, 304)
            top = _head(behaviour, *([length] if may_have_body else []), f"connection: {connection}")
            writer.write(top + body if may_have_body and self._method != "head" else top)
            if not self._keep_alive:
                writer.close()
            return
        writer.write(_raw(behaviour, body))
        await writer.drain()
        if behaviour in _ENDS_WITH_RST:
            await asyncio.sleep(_BEFORE_RST_S if behaviour is not Fault.RESET else 0)
            reset(writer)
        writer.close()


def _raw(fault: Fault, body: bytes) -> bytes:
    """What is sent before the connection ends."""
    length = f"content-length: {len(body)}"
    short = f"content-length: {len(body) + _MISSING}"
    closing = "connection: close"
    heads = {
        Fault.CUT: _head(200, short),
        Fault.CUT_RESET: _head(200, short),
        Fault.CUT_500: _head(500, short),
        Fault.UNTIL_CLOSE: _head(200, closing),
        Fault.UNTIL_RESET: _head(200, closing),
        Fault.HUGE_HEAD: _head(200, length, f"x-huge: {'x' * _HUGE}"),
        Fault.CONTINUE_500: b"HTTP/1.1 100 Continue\r\n\r\n" + _head(500, length, closing),
        Fault.GRPC_CANCELLED: _head(200, length, closing, "grpc-status: 1"),
        Fault.GRPC_INTERNAL: _head(200, length, closing, "grpc-status: 13"),
        Fault.GRPC_UNAVAILABLE: _head(200, length, closing, "grpc-status: 14"),
    }
    if top := heads.get(fault):
        return top + body
    whole = {
        Fault.GARBAGE: b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        Fault.PARTIAL_HEAD: _head(200, length)[:-10],
        Fault.CUT_CHUNKED: _head(200, "transfer-encoding: chunked") + b"%x\r\n%b\r\n" % (len(body), body),
    }
    return whole.get(fault, b"")


class Upstream:
    """All endpoints of a play; `async with` starts and stops them."""

    def __init__(self, scenario: Scenario) -> None:
        self.arrivals: Counter[str] = Counter()
        self.held: list[asyncio.Future[None]] = []
        self.is_holding = False
        self.services = {
            name: [
                Endpoint(f"{name}-{number}", self._arrived, keep_alive=scenario.keep_alive)
                for number in range(service.endpoints)
            ]
            for name, service in scenario.services.items()
        }

    @property
    def ports(self) -> dict[str, list[int]]:
        """The ports of each service."""
        return {name: [endpoint.port for endpoint in found] for name, found in self.services.items()}

    @property
    def names(self) -> dict[int, str]:
        """The endpoints' names by port."""
        return {endpoint.port: endpoint.name for found in self.services.values() for endpoint in found}

    async def __aenter__(self) -> Self:
        for endpoints in self.services.values():
            for endpoint in endpoints:
                await endpoint.become(200)
        return self

    async def __aexit__(self, *_: object) -> None:
        for endpoints in self.services.values():
            for endpoint in endpoints:
                await endpoint.stop()

    def release(self) -> None:
        """Let the held requests be answered, in the order of their arrival."""
        self.is_holding = False
        for future in self.held:
            future.set_result(None)
        self.held.clear()

    def _arrived(self, endpoint: Endpoint) -> asyncio.Future[None] | None:
        self.arrivals[endpoint.name] += 1
        if not self.is_holding:
            return None
        future = asyncio.get_running_loop().create_future()
        self.held.append(future)
        return future


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((ADDRESS, port))
    return sock


def _head(status: int, *headers: str) -> bytes:
    fields = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in headers))
    return head(status, (("content-type", "text/x-endpoint"), *fields))


async def _read_request(reader: asyncio.StreamReader) -> str:
    """Take a request; its method, in lower case."""
    top = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next((line[15:] for line in top.split("\r\n") if line.startswith("content-length:")), "0")
    await reader.readexactly(int(length))
    return top.partition(" ")[0]
