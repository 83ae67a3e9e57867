"""The HTTP client towards providers: pools for all clients together, and failures in Envoy's words."""

import os
import ssl
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDict
from yarl import URL

from llm_fallback.config.snapshot import Target, TargetKey
from llm_fallback.headers import Headers
from llm_fallback.messages import Outgoing
from llm_fallback.outlier import Endpoint
from llm_fallback.retry import Failure
from llm_fallback.upstream.circuit_breakers import Authority, CircuitBreakers, Load, Overflow, Resource
from llm_fallback.upstream.connector import on_connected
from llm_fallback.upstream.pool import Pool
from llm_fallback.upstream.tls import TlsContexts

_MAX_KEPT_PATH = 256


class AttemptFailed(Exception):  # noqa: N818 - the field's word for it
    """An attempt that ended before response headers."""

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(detail)
        self.failure = failure


class BodyBroken(Exception):  # noqa: N818 - the field's word for it
    """A response body that ended before its end."""


class Response(Protocol):
    """A response whose headers are there and whose body is still to come, whoever gives it."""

    status: int
    headers: Headers

    def header(self, name: str) -> str | None:
        """The value of a header."""

    @property
    def is_complete(self) -> bool:
        """Whether the whole body has been read."""

    async def read(self) -> bytes:
        """The bytes that are there, waiting for some if there are none; raises BodyBroken."""

    def read_ready(self) -> bytes:
        """The bytes that are there already, perhaps none."""

    def read_rest(self) -> bytes:
        """The bytes that came before a body broke and that nobody has read yet."""

    def release(self) -> None:
        """Let go of it, read or not."""


class UpstreamResponse:
    """A response whose headers are there and whose body is still to come."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        # Bytes that are not UTF-8 come back as they were: `surrogateescape` is what mitmproxy uses as well.
        self.headers = tuple((_text(name), _text(value)) for name, value in response.raw_headers)

    def header(self, name: str) -> str | None:
        """The value of a header."""
        return self._response.headers.get(name)

    @property
    def is_complete(self) -> bool:
        """Whether the whole body has been read."""
        return self._response.content.at_eof()

    async def read(self) -> bytes:
        """The bytes that are there, waiting for some if there are none; empty at the end.

        Raises BodyBroken if the provider stops before the end.
        """
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError, RuntimeError) as error:  # RuntimeError if we have closed it
            raise BodyBroken from error

    def read_ready(self) -> bytes:
        """The bytes that are there already, perhaps none."""
        content = self._response.content
        return b"" if content.exception() else content.read_nowait()

    def read_rest(self) -> bytes:
        """The bytes that came before a body broke and that nobody has read yet."""
        # aiohttp keeps them and refuses to give them out; Envoy passes on whatever has arrived.
        unread: Iterable[bytes] = getattr(self._response.content, "_buffer", ())
        return b"".join(unread)

    def release(self) -> None:
        """Give the connection back to the pool if the body is complete, and close it if not."""
        if self.is_complete:
            self._response.release()
        else:
            self._response.close()


class UpstreamClient:
    """Sends attempts over pooled connections, which all clients of the proxy share.

    Each target has connections of its own: none is used under settings, TLS above all, but those that it was
    opened with.
    """

    def __init__(self) -> None:
        self._contexts = TlsContexts()
        self._targets: frozenset[Target] = frozenset()
        self._pools: dict[Target, Pool] = {}
        self._pools_by_key: dict[TargetKey, Pool] = {}
        self._resolver: AbstractResolver | None = None
        self._is_closed = False

    def prepare(self, targets: Iterable[Target]) -> None:
        """Get ready for these targets: what TLS needs is read now, and no request pays for it.

        Connections of targets that stay as they are stay, too; the others end with the requests they serve.
        Raises OSError or ssl.SSLError if a file that TLS needs cannot be used; nothing changes then.
        """
        wanted = frozenset(targets)
        self._contexts.adopt({target.tls for target in wanted if target.tls})
        self._targets = wanted
        before, self._pools_by_key, self._pools = self._pools_by_key, {}, {}
        for target in self._targets:
            pool = before.get(target.key)
            if pool and pool.serves(target, self._context(target)):
                self._pools[target] = self._pools_by_key[target.key] = before.pop(target.key)
        for pool in before.values():
            pool.breakers.drain()

    async def send(
        self, target: Target, endpoint: Endpoint, outgoing: Outgoing, connected: Callable[[], None]
    ) -> UpstreamResponse:
        """Send the request and wait for the response headers; `connected` is called when it has a connection.

        Raises AttemptFailed if there are none.
        """
        if self._is_closed:
            raise AttemptFailed(Failure.OVERFLOW, "the proxy ends")
        on_connected.set(connected)
        pool = self._pools.get(target) or self._pool(target)
        session = pool.session or pool.open(self._resolver or self._make_resolver())
        is_tls = pool.context is not None
        try:
            response = await session.request(
                outgoing.method,
                _url(endpoint, outgoing.path, is_tls=is_tls),
                headers=_with_key(outgoing),
                data=outgoing.body or None,
                ssl=pool.context or False,
                server_hostname=pool.sni,
                allow_redirects=False,
                timeout=pool.timeout,
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise AttemptFailed(*_diagnose(error)) from None
        if response.status < 200:  # 101, or no status at all
            response.close()
            raise AttemptFailed(Failure.PROTOCOL_ERROR, "an answer that nobody asked for")
        if response.headers.get("Transfer-Encoding", "chunked").lower() != "chunked":
            response.close()  # or aiohttp reads on until the connection ends, and leaves the coding to us
            raise AttemptFailed(Failure.PROTOCOL_ERROR, "an answer in a transfer coding that nobody reads")
        return UpstreamResponse(response)

    def breakers(self, target: Target) -> CircuitBreakers:
        """What is counted of the target's connections and requests."""
        return (self._pools.get(target) or self._pool(target)).breakers

    def load(self, target: Target, endpoint: Endpoint) -> Load:
        """What an endpoint has to do for the target at present."""
        pool = self._pools.get(target)
        return pool.breakers.load(_authority(endpoint)) if pool else Load()

    def active(self, target: Target, endpoint: Endpoint) -> int:
        """The target's requests that an endpoint is serving, without those that wait for a connection."""
        pool = self._pools.get(target)
        return pool.breakers.active(_authority(endpoint)) if pool else 0

    def retries(self, target: Target) -> Resource:
        """The target's retries under way: `take()` before one, `give_back()` after it."""
        return self.breakers(target).retries

    def keep_only(self, target: Target, endpoints: Iterable[Endpoint]) -> None:
        """Close the target's connections to all other endpoints, those in use when they come free."""
        if pool := self._pools.get(target):
            pool.breakers.keep_only({_authority(endpoint) for endpoint in endpoints})

    def close(self) -> None:
        """Close all connections and open none any more; needs the event loop in which they were opened."""
        self._is_closed = True
        for pool in self._pools_by_key.values():
            pool.close()
        self._pools, self._pools_by_key = {}, {}

    def _pool(self, target: Target) -> Pool:
        """The pool of a target that has not been called since the configuration was read."""
        context = self._context(target)
        pool = self._pools_by_key.get(target.key)
        if pool and pool.serves(target, context):
            return pool
        pool = Pool(target, context)
        if target in self._targets:
            self._pools[target] = self._pools_by_key[target.key] = pool
        else:  # an exchange that began before a reload
            pool.breakers.drain()
        return pool

    def _context(self, target: Target) -> ssl.SSLContext | None:
        return self._contexts.context(target.tls) if target.tls else None

    def _make_resolver(self) -> AbstractResolver:
        self._resolver = aiohttp.ThreadedResolver()  # the system's, asked as in discovery
        return self._resolver


def _authority(endpoint: Endpoint) -> Authority:
    """The endpoint as it is in a URL."""
    url = _url(endpoint, "/", is_tls=True)
    return url.raw_host or "", endpoint.port


def _url(endpoint: Endpoint, path: str, *, is_tls: bool) -> URL:
    # Paths with a query are not kept: a client's key may be in it. Long ones would fill the memory.
    is_kept = "?" not in path and len(path) <= _MAX_KEPT_PATH
    return (_known_url if is_kept else _make_url)(endpoint, path, is_tls=is_tls)


def _make_url(endpoint: Endpoint, path: str, *, is_tls: bool) -> URL:
    return URL(f"{'https' if is_tls else 'http'}://{endpoint}{path}", encoded=True)


_known_url = lru_cache(maxsize=4096)(_make_url)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _with_key(outgoing: Outgoing) -> CIMultiDict[str]:
    """The only place where a provider's key becomes part of a request."""
    headers = CIMultiDict(
        [(name, value if value.isascii() else _sendable(value)) for name, value in outgoing.headers]
    )
    if outgoing.api_key:
        headers["Authorization"] = f"Bearer {outgoing.api_key.get_secret_value()}"
    return headers


def _sendable(value: str) -> str:
    """Text that aiohttp, which writes headers in UTF-8, does not lose: other bytes are read as Latin-1."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def _strerror(error: OSError) -> str:
    """`Connection refused`: asyncio's own text quotes the address as Python writes it."""
    return os.strerror(error.errno) if error.errno else "no connection"


def _diagnose(error: Exception) -> tuple[Failure, str]:
    """The failure in Envoy's words, and a detail that quotes nothing of the request."""
    match error:
        case Overflow():
            return Failure.OVERFLOW, str(error)
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
            return Failure.CONNECT_FAILURE, f"certificate: {reason}"
        case aiohttp.ClientConnectorSSLError():
            return Failure.CONNECT_FAILURE, f"TLS: {error.os_error.strerror or type(error.os_error).__name__}"
        case aiohttp.ClientConnectorDNSError():
            return Failure.CONNECT_FAILURE, "the name does not resolve"
        case aiohttp.ClientConnectorError():
            return Failure.CONNECT_FAILURE, _strerror(error.os_error)
        case aiohttp.ConnectionTimeoutError():
            return Failure.CONNECT_TIMEOUT, "no connection in time"
        case aiohttp.ClientResponseError():
            return Failure.PROTOCOL_ERROR, "the answer is not HTTP"
        case aiohttp.ServerDisconnectedError() if error.message != aiohttp.ServerDisconnectedError().message:
            return Failure.PROTOCOL_ERROR, "the answer ends in its headers"
        case aiohttp.ServerDisconnectedError():
            return Failure.RESET, "closed before the response"
        case _:
            return Failure.RESET, "reset before the response"
