"""aiohttp's pool of connections, counted and bounded."""

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from llm_fallback.upstream.circuit_breakers import Authority, CircuitBreakers, Overflow, Turn
from llm_fallback.upstream.protocol import Protocol

on_connected: ContextVar[Callable[[], None]] = ContextVar("on_connected")
"""What the request of this task wants to be told when it has a connection; aiohttp passes nothing through."""


class _NoConnectionFree(Exception):  # noqa: N818 - no failure
    """The endpoint has connections, and there may be no more."""


class Connector(aiohttp.TCPConnector):
    """The connections to one target.

    It gives out none on which something has arrived while nobody asked. Servers do that, with a 408 for
    instance, before they close an idle connection; aiohttp would take it for the answer to the next request.
    """

    def __init__(self, breakers: CircuitBreakers, **options: Any) -> None:
        super().__init__(limit=0, **options)
        self._factory = partial(Protocol, loop=self._loop)  # type: ignore[assignment] # it is invariant
        self._breakers = breakers
        self._is_bounded = breakers.settings.max_connections is not None

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """A connection for the request; raises Overflow if it is one too many."""
        connect = self._connect_in_turn if self._is_bounded else self._connect
        connection = self._breakers.given(await connect(req, traces, timeout))
        try:
            on_connected.get()()
        except BaseException:
            connection.close()
            raise
        return connection

    async def _connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()

    async def _connect_in_turn(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Connect, after those who wait for the endpoint, and as soon as a connection is free."""
        host = self._breakers.host(_authority(req))
        turn: Turn | None = None
        try:
            while True:
                if turn or not host.queue:
                    with suppress(_NoConnectionFree):
                        connection = await super().connect(req, traces, timeout)
                        if connection.protocol is None or not connection.protocol.should_close:
                            return connection
                        connection.close()
                        continue
                if turn is None:
                    turn = Turn()
                    host.queue.append(turn)
                await self._until_called(turn)
        except Overflow:
            raise
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            host.fail_all(error)
            raise
        finally:
            if turn:
                host.queue.remove(turn)
            host.call_next()
            self._breakers.forget_if_unused(host)

    async def _until_called(self, turn: Turn) -> None:
        """Be pending; raises Overflow if too many are, or what kept the endpoint from being connected to."""
        pending = self._breakers.pending_requests
        if not pending.take():
            raise Overflow("too many pending requests")
        turn.called = self._loop.create_future()
        try:
            await turn.called
        finally:
            pending.give_back()

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> ResponseHandler:
        """Open a connection, which is asked for only where none is idle."""
        breakers, host = self._breakers, self._breakers.host(_authority(req))
        if not breakers.connections.take():
            if host.connections:
                raise _NoConnectionFree
            breakers.connections.count += 1
        host.connections += 1
        protocol = None
        try:
            protocol = await self._open_connection(req, traces, timeout)
        finally:
            if protocol is None:
                breakers.lost(host)
        breakers.opened(host, protocol)
        return protocol

    async def _open_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> ResponseHandler:
        pending = self._breakers.pending_requests
        if not pending.take():
            raise Overflow("too many pending requests")
        try:
            return await super()._create_connection(req, traces, timeout)
        finally:
            pending.give_back()


def _authority(req: aiohttp.ClientRequest) -> Authority:
    return req.url.raw_host or "", req.url.port
