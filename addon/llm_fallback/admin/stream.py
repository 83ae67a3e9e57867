"""What happens, as it happens: server-sent events for a few readers, none of which can slow the proxy down.

Nothing is queued for a reader. Each looks at the history, which is bounded, several times a second, and gets
what is new in it; one that is too slow for that misses something, or is let go.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from aiohttp import web

from llm_fallback.admin import state
from llm_fallback.admin.guard import is_foreign, text
from llm_fallback.admin.shown import Shown

MAX_READERS = 8

_TICK_S = 0.25
_MAX_DECISIONS = 25  # in a tick: nobody can read more
_NEWS_EVERY_S = 1.0
_STATE_EVERY_S = 5.0
_PATIENCE_S = 10.0  # with a reader that does not read
_SHARE = 0.02  # of the time, for making states: a large configuration's come less often
_RETRY = b"retry: 1000\n\n"


class EventStream:
    """Serves the events of one application, until `close`."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._readers = 0
        self._closing = asyncio.Event()
        self._made_at = 0.0
        self._made_of = -1
        self._made = b""
        self._pause_s = _NEWS_EVERY_S

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One reader, as long as it stays."""
        if is_foreign(request):
            return text("other web pages get no events\n", status=403)  # nor could they read them
        if self._readers >= MAX_READERS:
            refused = text(f"there are {MAX_READERS} readers already; close one of them\n", status=503)
            refused.headers["Retry-After"] = "5"
            return refused
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self._readers += 1
        try:
            await response.prepare(request)
            await self._follow(request, response)
        except ConnectionResetError:
            pass  # it is gone, which is how all of them end
        except TimeoutError:
            _abort(request)  # nobody reads what is still to be sent
        except Exception:
            _abort(request)  # or what is said of it would be in the middle of the stream
            raise
        finally:
            self._readers -= 1
        return response

    async def close(self, _: web.Application) -> None:
        """End all streams at once."""
        self._closing.set()

    async def _follow(self, request: web.Request, response: web.StreamResponse) -> None:
        history, clock = self._shown.history, self._shown.clock
        seen = told = history.version
        whole = state.state(self._shown) | state.past(history)
        await _write(response, _RETRY + _event("state", whole))
        told_at = clock()
        while await self._goes_on(request):
            news = b"".join(self._news(seen))
            seen = history.version
            waited = clock() - told_at
            if waited >= max(_STATE_EVERY_S, self._pause_s) or (seen != told and waited >= self._pause_s):
                news += self._state()
                told, told_at = self._made_of, clock()
            if news:
                await _write(response, news)

    async def _goes_on(self, request: web.Request) -> bool:
        """Whether there is somebody to tell, a tick later."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_TICK_S):
                await self._closing.wait()
        is_there = request.transport is not None and not request.transport.is_closing()
        return is_there and not self._closing.is_set()

    def _news(self, seen: int) -> Iterator[bytes]:
        """What the history has after a version, the oldest first."""
        history = self._shown.history
        if history.version == seen:
            return
        for decision in reversed(list(islice(history.decisions(seen), _MAX_DECISIONS))):
            yield _event("decision", state.decision(decision))
        for entry in reversed(list(history.timeline(seen))):
            yield _event("timeline", state.entry(entry))

    def _state(self) -> bytes:
        """The state, made once for all readers that want it at about the same time."""
        now, version = self._shown.clock(), self._shown.history.version
        if now - self._made_at >= _NEWS_EVERY_S / 2 or self._made_of < 0:
            self._made, self._made_at, self._made_of = (
                _event("state", state.state(self._shown)),
                now,
                version,
            )
            self._pause_s = max(_NEWS_EVERY_S, min((self._shown.clock() - now) / _SHARE, 2 * _STATE_EVERY_S))
        return self._made


def _abort(request: web.Request) -> None:
    if request.transport:
        request.transport.abort()


def _event(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, allow_nan=False)}\n\n".encode()


async def _write(response: web.StreamResponse, content: bytes) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        await response.write(content)
