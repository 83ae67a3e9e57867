"""Listening on loopback, in the event loop that is running: begun and ended without waiting."""

import asyncio
import ipaddress
import logging
import re
import socket
from typing import NamedTuple

from aiohttp import web

from llm_fallback.addresses import with_port

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^\[\]:]+)):(?P<port>[0-9]{1,5})")
_SHUTDOWN_S = 1.0
_SILENT = logging.getLogger("llm-fallback.admin")
_SILENT.disabled = True
"""For aiohttp, which would log requests that cannot be read, and quote their headers."""


class Address(NamedTuple):
    """An address of this machine that nobody else can reach; port 0 is any that is free."""

    ip: str
    port: int

    def __str__(self) -> str:
        return with_port(self.ip, self.port)


class BadAddressError(ValueError):
    """An address that cannot be, in a sentence."""


def address_of(text: str) -> Address:
    """The address in `127.0.0.1:9901`, `[::1]:9901` or `localhost:9901`.

    Raises BadAddressError for anything else: whoever reached the page could see all there is.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise BadAddressError(f"{text!r} is not an address; write 127.0.0.1:9901")
    host = found["v6"] or found["host"]
    try:
        ip = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise BadAddressError(
            f"{text!r} has a name in it; write an address, such as 127.0.0.1:9901"
        ) from None
    if not ip.is_loopback:
        raise BadAddressError(f"{text!r} can be reached from other machines; write 127.0.0.1:{found['port']}")
    return Address(str(ip), int(found["port"]))


class Listener:
    """Serves an application at an address, from the moment it is made until `close`."""

    def __init__(self, application: web.Application, address: Address) -> None:
        """Listen; needs a running event loop. Raises OSError if that cannot be, as where a port is taken."""
        family = socket.AF_INET6 if ":" in address.ip else socket.AF_INET
        sock = socket.create_server(address[:2], family=family)
        self.address = Address(address.ip, sock.getsockname()[1])
        self._runner = web.AppRunner(
            application, access_log=None, logger=_SILENT, shutdown_timeout=_SHUTDOWN_S
        )
        self._server: asyncio.Server | None = None
        # Begun at once: it is listening when this returns, and can be closed at any moment after.
        self._start = asyncio.Task(
            self._serve(sock), loop=asyncio.get_running_loop(), eager_start=True, name="llm-fallback admin"
        )

    async def _serve(self, sock: socket.socket) -> None:
        await self._runner.setup()
        assert self._runner.server  # noqa: S101 - it has just been set up
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._runner.server, sock=sock, start_serving=False)
        await self._server.start_serving()

    def close(self) -> None:
        """Listen no more, at once; answers under way have a moment to end."""
        if self._server:
            self._server.close()
        self._start = asyncio.Task(
            self._runner.cleanup(),
            loop=asyncio.get_running_loop(),
            eager_start=True,
            name="llm-fallback admin",
        )
