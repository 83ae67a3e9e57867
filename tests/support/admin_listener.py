"""A stand-in for the admin listener of a proxy: serves the web page, and tells what it is told."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

import llm_fallback.admin
from tests.support.outage import Data

PAGE = Path(llm_fallback.admin.__file__).parent / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""Stricter than what the listener sends: there, the page may do what it may do here."""


class Asked(NamedTuple):
    """One request for an action."""

    name: str
    body: Data
    headers: dict[str, str]


class Listener:
    """What the page sees; whoever holds it says what happens."""

    def __init__(self, state: Data) -> None:
        self.state = state
        self.asked: list[Asked] = []
        self.refusal: str | None = None
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]
        self._readers: set[asyncio.Queue[bytes]] = set()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/"

    async def start(self) -> None:
        """Listen, at the same port each time."""
        application = web.Application()
        application.router.add_get("/api/state", self._state)
        application.router.add_get("/api/events", self._events)
        application.router.add_post("/api/actions/{name}", self._action)
        application.router.add_get("/{name:[a-z]*[.]?[a-z]*}", self._file)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.SockSite(self._runner, _bound(self.port)).start()

    async def stop(self) -> None:
        """Be gone, with all connections."""
        for reader in self._readers:
            reader.put_nowait(b"")
        if self._runner:
            await self._runner.cleanup()

    def free(self) -> None:
        """Give its port back, which is its own even while nobody listens there."""
        self._reserved.close()

    async def tell(self, event: str, data: Data) -> None:
        """Send an event to every page."""
        for reader in self._readers:
            reader.put_nowait(_event(event, data))

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = PAGE / (request.match_info["name"] or "index.html")
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        return web.FileResponse(path, headers=headers) if path.is_file() else web.Response(status=404)

    async def _state(self, _: web.Request) -> web.Response:
        return web.json_response(self.state)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        reader: asyncio.Queue[bytes] = asyncio.Queue()
        self._readers.add(reader)
        try:
            await response.write(_event("state", self.state))
            while part := await reader.get():
                await response.write(part)
        finally:
            self._readers.discard(reader)
        return response

    async def _action(self, request: web.Request) -> web.Response:
        self.asked.append(Asked(request.match_info["name"], await request.json(), dict(request.headers)))
        if self.refusal:
            return web.json_response({"error": self.refusal}, status=400)
        return web.json_response({"message": f"Did {request.match_info['name']}."})


@asynccontextmanager
async def listening(state: Data) -> AsyncIterator[Listener]:
    """A listener on a free port."""
    listener = Listener(state)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop()
        listener.free()


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock


def _event(name: str, data: Data) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
