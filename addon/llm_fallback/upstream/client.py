"""The HTTP client towards providers: one pool for all clients, and failures in Envoy's words."""

import asyncio
import os
import ssl
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import aiohttp
from aiohttp.connector import Connection
from multidict import CIMultiDict
from yarl import URL

from llm_fallback.config.snapshot import Target, Tls
from llm_fallback.outlier import Endpoint
from llm_fallback.retry import Failure
from llm_fallback.rewriting import Outgoing
from llm_fallback.upstream.tls import client_context

_MAX_HEADER_BYTES = 80 * 1024  # about where Envoy gives up on response headers
_IDLE_S = 60.0
_ADDED_BY_AIOHTTP = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})


class AttemptFailed(Exception):  # noqa: N818 - the field's word for it
    """An attempt that ended before response headers."""

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(detail)
        self.failure = failure


class BodyBroken(Exception):  # noqa: N818 - the field's word for it
    """A response body that ended before its end."""


class UpstreamResponse:
    """A response whose headers are there and whose body is still to come."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.reason = response.reason or ""
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
        except (aiohttp.ClientError, OSError) as error:
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


class _Connector(aiohttp.TCPConnector):
    """A pool that gives out no connection on which something has arrived while nobody asked.

    Servers do that, with a 408 for instance, before they close an idle connection; aiohttp would take it for
    the answer to the next request.
    """

    async def connect(
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


class UpstreamClient:
    """Sends attempts over pooled connections, which all clients of the proxy share."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[Tls, ssl.SSLContext] = {}

    def prepare(self, targets: Iterable[Target]) -> None:
        """Build the TLS contexts now: one takes a tenth of a second, which no request should pay."""
        wanted = {target.tls for target in targets if target.tls}
        self._contexts = {tls: self._contexts.get(tls) or client_context(tls) for tls in wanted}

    async def send(self, target: Target, endpoint: Endpoint, outgoing: Outgoing) -> UpstreamResponse:
        """Send the request and wait for the response headers.

        Raises AttemptFailed if there are none.
        """
        session = self._session or self._open()
        tls = target.tls
        try:
            response = await session.request(
                outgoing.method,
                _url(endpoint, outgoing.path, is_tls=tls is not None),
                headers=_with_key(outgoing),
                data=outgoing.body or None,
                ssl=self._context(tls) if tls else False,
                server_hostname=tls.sni if tls else None,
                allow_redirects=False,
                timeout=_timeout(target.connect_timeout_s),
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise AttemptFailed(*_diagnose(error)) from None
        if response.status == 101:
            response.close()
            raise AttemptFailed(Failure.PROTOCOL_ERROR, "an upgrade that nobody asked for")
        return UpstreamResponse(response)

    def close(self) -> None:
        """Close all connections; needs the event loop in which they were opened, if there are any."""
        if self._session:
            # Begun at once: a task that waits for its turn would be cancelled unstarted by a loop that ends.
            asyncio.Task(self._session.close(), loop=asyncio.get_running_loop(), eager_start=True)
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=_Connector(limit=0, keepalive_timeout=_IDLE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_ADDED_BY_AIOHTTP,
            auto_decompress=False,
            trust_env=False,  # HTTP_PROXY would lead straight back into this proxy
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )
        # Or it sends idempotent requests twice by itself: unseen, uncounted, and not as the mesh does.
        self._session._retry_connection = False  # noqa: SLF001
        return self._session

    def _context(self, tls: Tls) -> ssl.SSLContext:
        context = self._contexts.get(tls)
        if context is None:  # an exchange that began before a reload
            context = self._contexts[tls] = client_context(tls)
        return context


def _url(endpoint: Endpoint, path: str, *, is_tls: bool) -> URL:
    # Paths with a query are not kept: a client's key may be in it.
    return (_make_url if "?" in path else _known_url)(endpoint, path, is_tls=is_tls)


def _make_url(endpoint: Endpoint, path: str, *, is_tls: bool) -> URL:
    return URL(f"{'https' if is_tls else 'http'}://{endpoint}{path}", encoded=True)


_known_url = lru_cache(maxsize=4096)(_make_url)


@lru_cache(maxsize=64)
def _timeout(connect_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect_s)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _with_key(outgoing: Outgoing) -> CIMultiDict[str]:
    """The only place where a provider's key becomes part of a request."""
    headers = CIMultiDict((name, _sendable(value)) for name, value in outgoing.headers)
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
