"""A provider on a socket of this process, and what the client under test needs to call it."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self

from llm_fallback.config.snapshot import ConnectionPool, Target
from llm_fallback.messages import Outgoing
from llm_fallback.outlier import Endpoint
from llm_fallback.upstream.client import UpstreamClient, UpstreamResponse

DEADLINE_S = 20.0
GET = Outgoing("GET", "/", (), b"", None)


class Provider:
    """Answers each request with the number of its connection, when it is let; `async with` starts it.

    With `rest_is_late`, the answer's last byte does not come; `raw` is said in place of an answer.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.open = 0
        self.requests = 0
        self.answers = 0
        self.rest_is_late = False
        self.raw: bytes | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._context = context
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._latest: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def endpoint(self) -> Endpoint:
        assert self._server
        return Endpoint("127.0.0.1", self._server.sockets[0].getsockname()[1])

    def target(self, **settings: Any) -> Target:
        """The provider as a target."""
        return target(self, **settings)

    def say(self, data: bytes) -> None:
        """Say something more on the latest connection."""
        assert self._latest
        self._latest.write(data)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self._latest = writer
        try:
            await self._answer_all(reader, writer, str(self.connections).encode())
        finally:
            self.open -= 1

    async def _answer_all(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
    ) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                hung_up = asyncio.create_task(_end_of(reader))
                answer = asyncio.create_task(self.may_answer.wait())
                await asyncio.wait([hung_up, answer], return_when=asyncio.FIRST_COMPLETED)
                hung_up.cancel()
                answer.cancel()
                size = len(body) + self.rest_is_late
                whole = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (size, body)
                writer.write(whole if self.raw is None else self.raw)
                await writer.drain()
                self.answers += 1


async def _end_of(reader: asyncio.StreamReader) -> None:
    while not reader.at_eof():  # noqa: ASYNC110 - a reader tells nobody else while it waits
        await asyncio.sleep(0.001)


def target(*providers: Provider, pool: ConnectionPool | None = None, **settings: Any) -> Target:
    """Providers as the endpoints of one target."""
    endpoints = tuple(provider.endpoint for provider in providers)
    return Target("a.com", 80, endpoints, pool=pool or ConnectionPool(), **settings)


def run(scenario: Callable[[UpstreamClient], Awaitable[None]]) -> None:
    """Run it with a client, which has nothing left to count when it ends."""

    async def main() -> None:
        client = UpstreamClient()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await scenario(client)
        finally:
            client.close()

    asyncio.run(main())


async def send(client: UpstreamClient, target: Target, endpoint: Endpoint | None = None) -> UpstreamResponse:
    """The answer to a request, as far as its headers."""
    return await client.send(target, endpoint or target.endpoints[0], GET, lambda: None)


async def ask(client: UpstreamClient, target: Target, endpoint: Endpoint | None = None) -> str:
    """The whole answer to a request."""
    response = await send(client, target, endpoint)
    body = b""
    while piece := await response.read():
        body += piece
    response.release()
    return body.decode()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other tasks bring about."""
    while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
        await asyncio.sleep(0.001)


def counts(client: UpstreamClient, target: Target) -> tuple[int, int, int]:
    """Connections, pending and active requests."""
    breakers = client.breakers(target)
    return breakers.connections.count, breakers.pending_requests.count, breakers.requests.count
