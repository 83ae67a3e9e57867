"""What is counted of the connections to one target, and Envoy's circuit breakers over it.

A request takes an idle connection to its endpoint. If there is none it is *pending* until it has one: a new
one, or, at `max_connections`, the next that comes free. An endpoint without any connection always gets one,
so that nobody waits for ever. Then it is *active* until its response has ended. What exceeds the limits on
pending and active requests overflows at once. If connecting fails, so do those who wait for that endpoint.

The counts follow the connections, not the requests' fates: whatever becomes of a request, its connection is
released or closed in the end.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from typing import NamedTuple

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from llm_fallback.config.snapshot import NO_LIMIT, ConnectionPool

type Authority = tuple[str, int | None]
"""Host and port as they are in a URL."""


class Load(NamedTuple):
    """What an endpoint has to do at present: its connections, the requests on them, and those that wait."""

    connections: int = 0
    active: int = 0
    pending: int = 0


class Overflow(aiohttp.ClientError):
    """A request that is one too many."""


class Resource:
    """What a circuit breaker counts, and its maximum."""

    __slots__ = ("count", "maximum")

    def __init__(self, maximum: int | None) -> None:
        self.count = 0
        self.maximum = NO_LIMIT if maximum is None else maximum

    def __repr__(self) -> str:
        return str(self.count) if self.maximum == NO_LIMIT else f"{self.count}/{self.maximum}"

    def take(self) -> bool:
        """Count one more; False if there are as many as there may be."""
        if self.count >= self.maximum:
            return False
        self.count += 1
        return True

    def give_back(self) -> None:
        """Count one less."""
        self.count -= 1


class Turn:
    """A place in a queue, which is kept while its owner tries."""

    __slots__ = ("called",)

    def __init__(self) -> None:
        self.called: asyncio.Future[None] | None = None


class Host:
    """An endpoint: how many connections and active requests it has, and who waits for a connection."""

    __slots__ = ("active", "authority", "connections", "queue")

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.active = 0
        self.connections = 0
        self.queue: deque[Turn] = deque()

    def call_next(self) -> None:
        """Let the first one who waits try again."""
        for turn in self.queue:
            if turn.called and not turn.called.done():
                turn.called.set_result(None)
                return

    def fail_all(self, error: Exception) -> None:
        """Tell all who wait that no connection can be made."""
        for turn in self.queue:
            if turn.called and not turn.called.done():
                turn.called.set_exception(error)


class CircuitBreakers:
    """The counts of one target, which nothing survives in: `unused` is called when the last one is gone."""

    def __init__(self, settings: ConnectionPool, unused: Callable[[], None]) -> None:
        self.connections = Resource(settings.max_connections)
        self.pending_requests = Resource(settings.max_pending_requests)
        self.requests = Resource(settings.max_requests)
        self.retries = Resource(settings.max_retries)
        self.is_draining = False
        self.settings = settings
        self._unused = unused
        self._hosts: dict[Authority, Host] = {}
        self._open: dict[ResponseHandler, _Opened] = {}

    def active(self, authority: Authority) -> int:
        """The requests that an endpoint is serving."""
        host = self._hosts.get(authority)
        return host.active if host else 0

    def load(self, authority: Authority) -> Load:
        """What an endpoint has to do at present."""
        host = self._hosts.get(authority)
        return Load(host.connections, host.active, len(host.queue)) if host else Load()

    def host(self, authority: Authority) -> Host:
        """The endpoint that is there."""
        if (host := self._hosts.get(authority)) is None:
            host = self._hosts[authority] = Host(authority)
        return host

    def keep_only(self, authorities: Collection[Authority]) -> None:
        """Close the connections to all other endpoints, those in use when they come free."""
        for opened in list(self._open.values()):
            if opened.host.authority not in authorities:
                opened.expire()

    def drain(self) -> None:
        """Close all connections, those in use and those that are still made when they come free."""
        self.is_draining = True
        self.keep_only(())
        self.tell_if_unused()

    def opened(self, host: Host, protocol: ResponseHandler) -> None:
        """Follow a connection that has been made to its end."""
        opened = self._open[protocol] = _Opened(self, host, protocol)
        opened.follow()

    def given(self, connection: Connection) -> Connection:
        """Count the request that has been given the connection, until it lets go of it.

        Raises Overflow if it is one too many.
        """
        opened = None if connection.protocol is None else self._open.get(connection.protocol)
        if opened is None:
            return connection
        if not self.requests.take():
            connection.release()
            raise Overflow("too many requests")
        opened.begin()
        connection.add_callback(opened.end)
        return connection

    def lost(self, host: Host, protocol: ResponseHandler | None = None) -> None:
        """A connection is gone, or, without a `protocol`, was never made."""
        self.connections.give_back()
        host.connections -= 1
        if protocol is not None:
            del self._open[protocol]
            host.call_next()
        self.forget_if_unused(host)
        if self.is_draining:
            self.tell_if_unused()

    def forget_if_unused(self, host: Host) -> None:
        """Addresses come and go; nothing is kept of those that have no connection."""
        if not host.connections and not host.queue:
            self._hosts.pop(host.authority, None)

    def tell_if_unused(self) -> None:
        """Say that there is neither a connection nor anyone who waits for one."""
        if not self.connections.count and not self.pending_requests.count:
            self._unused()


class _Opened:
    """A connection from its making to its end."""

    __slots__ = ("_breakers", "_end_of_life", "_is_busy", "_protocol", "_requests_left", "host")

    def __init__(self, breakers: CircuitBreakers, host: Host, protocol: ResponseHandler) -> None:
        self.host = host
        self._breakers = breakers
        self._protocol = protocol
        self._is_busy = False
        self._requests_left = breakers.settings.max_requests_per_connection
        self._end_of_life: asyncio.TimerHandle | None = None

    def follow(self) -> None:
        """Say when the connection is gone, and end it when it has lived long enough."""
        closed = self._protocol.closed
        if closed is None:  # before anybody could look
            self._breakers.lost(self.host, self._protocol)
            return
        closed.add_done_callback(self._closed)
        if (seconds := self._breakers.settings.max_connection_duration_s) is not None:
            self._end_of_life = asyncio.get_running_loop().call_later(seconds, self.expire)

    def begin(self) -> None:
        """Serve a request; the last one closes the connection."""
        self._is_busy = True
        self.host.active += 1
        if self._requests_left:
            self._requests_left -= 1
            if not self._requests_left:
                self._protocol.force_close()

    def end(self) -> None:
        """Be free; whoever waits is called when the connection is back in the pool."""
        self._is_busy = False
        self.host.active -= 1
        self._breakers.requests.give_back()
        if self._breakers.is_draining:
            self._protocol.force_close()
        if self.host.queue:
            self.host.call_next()

    def expire(self) -> None:
        """Close now if idle, or else after the request that is being served."""
        if self._is_busy:
            self._protocol.force_close()
        else:
            self._protocol.close()

    def _closed(self, future: asyncio.Future[None]) -> None:
        if not future.cancelled():
            future.exception()  # seen, and of no interest: the response tells of it
        if self._end_of_life:
            self._end_of_life.cancel()
        self._breakers.lost(self.host, self._protocol)
