"""The benchmark's load: raw HTTP/1.1 requests through a proxy, each answer timed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from time import perf_counter
from typing import Self

# A proxy still has to log and tidy up after the last answer; that belongs to the round.
_SETTLE_S = 0.02
_TIMEOUT_S = 60


class LoadError(Exception):
    """An answer was not what the load asked for."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One answer: seconds from sending the request, and the body in the pieces the proxy sent it."""

    seconds: float
    first_piece_s: float
    pieces: tuple[bytes, ...]

    @property
    def body(self) -> bytes:
        """The whole answer."""
        return b"".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Load:
    """`requests` equal requests to a proxy on `port`, over `connections` at a time."""

    port: int
    request: bytes
    requests: int
    connections: int
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round of a load measured."""

    cpu_s: float
    wall_s: float
    exchanges: tuple[Exchange, ...]


class Connection:
    """One client connection to a proxy on the loopback interface."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> Exchange:
        """Send a request and read its answer, which must be a 200."""
        started = perf_counter()
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        first = perf_counter()
        pieces: list[bytes] = []
        async for piece in self._pieces(head):
            if not pieces:
                first = perf_counter()
            pieces.append(piece)
        exchange = Exchange(perf_counter() - started, first - started, tuple(pieces))
        if not head.startswith(b"http/1.1 200"):
            raise LoadError((head + exchange.body).decode(errors="replace"))
        return exchange

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def _pieces(self, head: bytes) -> AsyncIterator[bytes]:
        _, found, rest = head.partition(b"\r\ncontent-length:")
        if found:
            yield await self._reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
            return
        if b"\r\ntransfer-encoding: chunked" not in head:
            yield await self._reader.read()
            return
        while size := int(await self._reader.readline(), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()


async def ask_once(port: int, request: bytes) -> Exchange:
    """Ask on a connection of its own; the time includes the connecting."""
    started = perf_counter()
    connection = await Connection.open(port)
    connecting_s = perf_counter() - started
    try:
        exchange = await connection.ask(request)
    finally:
        connection.close()
    return Exchange(exchange.seconds + connecting_s, exchange.first_piece_s + connecting_s, exchange.pieces)


async def run(load: Load, cpu_seconds: Callable[[], float]) -> Sample:
    """Run a load; connections that are kept have been opened and used once before anything counts."""
    async with asyncio.timeout(_TIMEOUT_S):
        if not load.keep_alive:
            return await _measure([_fresh(load) for _ in range(load.connections)], cpu_seconds)
        connections = [await Connection.open(load.port) for _ in range(load.connections)]
        await asyncio.gather(*(connection.ask(load.request) for connection in connections))
        try:
            return await _measure([_kept(connection, load) for connection in connections], cpu_seconds)
        finally:
            for connection in connections:
                connection.close()


async def _measure(
    workers: list[Coroutine[None, None, list[Exchange]]], cpu_seconds: Callable[[], float]
) -> Sample:
    cpu_before, started = cpu_seconds(), perf_counter()
    exchanges = await asyncio.gather(*workers)
    wall_s = perf_counter() - started
    await asyncio.sleep(_SETTLE_S)
    return Sample(cpu_seconds() - cpu_before, wall_s, tuple(one for each in exchanges for one in each))


async def _kept(connection: Connection, load: Load) -> list[Exchange]:
    return [await connection.ask(load.request) for _ in range(load.requests // load.connections)]


async def _fresh(load: Load) -> list[Exchange]:
    return [await ask_once(load.port, load.request) for _ in range(load.requests // load.connections)]
