"""The connections to one target: made when they are needed, and kept for the next request."""

import asyncio
import ssl

import aiohttp
from aiohttp.abc import AbstractResolver

from llm_fallback.config.snapshot import Target
from llm_fallback.upstream.circuit_breakers import CircuitBreakers
from llm_fallback.upstream.connector import Connector

_MAX_HEADER_BYTES = 80 * 1024  # about where Envoy gives up on response headers
_ADDED_BY_AIOHTTP = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})
_FOR_EVER_S = 1e9


class Pool:
    """Connections that were all opened under the same settings, and go to the same target.

    `session` sends requests over them, once it has been opened.
    """

    def __init__(self, target: Target, context: ssl.SSLContext | None) -> None:
        self.context = context
        self.sni = target.tls.sni if target.tls else None
        self.timeout = aiohttp.ClientTimeout(total=None, connect=target.pool.connect_timeout_s)
        self.breakers = CircuitBreakers(target.pool, self.close)
        self.session: aiohttp.ClientSession | None = None
        self._endpoints = target.endpoints

    def serves(self, target: Target, context: ssl.SSLContext | None) -> bool:
        """Whether the target's requests can have these connections."""
        return (
            context is self.context
            and (target.tls.sni if target.tls else None) == self.sni
            and target.pool == self.breakers.settings
            and target.endpoints == self._endpoints
        )

    def open(self, resolver: AbstractResolver) -> aiohttp.ClientSession:
        """Open the session; needs a running event loop."""
        idle = self.breakers.settings.idle_timeout_s
        self.session = aiohttp.ClientSession(
            connector=Connector(
                self.breakers, keepalive_timeout=_FOR_EVER_S if idle is None else idle, resolver=resolver
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_ADDED_BY_AIOHTTP,
            auto_decompress=False,
            trust_env=False,  # HTTP_PROXY would lead straight back into this proxy
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )
        # Or it sends idempotent requests twice by itself: unseen, uncounted, and not as the mesh does.
        self.session._retry_connection = False  # noqa: SLF001
        return self.session

    def close(self) -> None:
        """Close all connections; needs the event loop in which they were opened, if there are any."""
        if self.session:
            # Begun at once: a task that waits for its turn would be cancelled unstarted by a loop that ends.
            asyncio.Task(self.session.close(), loop=asyncio.get_running_loop(), eager_start=True)
            self.session = None
