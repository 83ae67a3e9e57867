"""What an attempt meets where a person has injected a fault: to all others, the provider did it.

Nothing is sent, except after a mere delay, and no limit of the connection pool is touched.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable

from llm_fallback.headers import Headers
from llm_fallback.messages import Outgoing
from llm_fallback.overrides import Fault, FaultKind
from llm_fallback.overrides.fault import WITHOUT_BODY
from llm_fallback.rescue.retries import asks_for_stream
from llm_fallback.retry import Failure
from llm_fallback.upstream.client import AttemptFailed, BodyBroken, Response

_JSON = ("content-type", "application/json")
_STREAM = ("content-type", "text/event-stream")
_BEGUN = "This answer ends before its"
_CHUNK = {
    "id": "chatcmpl-injected",
    "object": "chat.completion.chunk",
    "created": 0,
    "model": "injected",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": _BEGUN}, "finish_reason": None}],
}
_WHOLE = {
    "id": "chatcmpl-injected",
    "object": "chat.completion",
    "created": 0,
    "model": "injected",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": _BEGUN}}],
}

type Connected = Callable[[], None]
"""Is called when there is a connection."""

type Send = Callable[[Connected], Awaitable[Response]]
"""Sends the attempt after all."""


class InjectedResponse:
    """An answer that no provider gave; a cut one breaks off after its body."""

    def __init__(self, status: int, headers: Headers, body: bytes, *, is_cut: bool) -> None:
        self.status = status
        self.headers = headers
        self._left = body
        self._is_cut = is_cut

    def header(self, name: str) -> str | None:
        """The value of a header."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)

    @property
    def is_complete(self) -> bool:
        """Whether the whole body has been read; a cut one never is."""
        return not self._left and not self._is_cut

    async def read(self) -> bytes:
        """What is left of the body; raises BodyBroken where a cut one ends."""
        if not self._left and self._is_cut:
            raise BodyBroken
        return self.read_ready()

    def read_ready(self) -> bytes:
        """What is left of the body."""
        ready, self._left = self._left, b""
        return ready

    def read_rest(self) -> bytes:
        """Nothing: all has been read before it broke."""
        return b""

    def release(self) -> None:
        """There is no connection to let go of."""


async def meet(fault: Fault, outgoing: Outgoing, connected: Connected, send: Send) -> Response:
    """Have the attempt meet the fault; `connected` is called where a provider would have been reached.

    Raises AttemptFailed where it would have failed.
    """
    if fault.kind is not FaultKind.CONNECT_FAILURE:
        connected()
    if fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    match fault.kind:
        case FaultKind.DELAY:
            return await send(lambda: None)  # it has been told of, and its time runs
        case FaultKind.CONNECT_FAILURE:
            raise AttemptFailed(Failure.CONNECT_FAILURE, "no connection")
        case FaultKind.RESET:
            raise AttemptFailed(Failure.RESET, "reset before the response")
        case FaultKind.HANG:
            await asyncio.get_running_loop().create_future()
            raise AssertionError("nobody sets this future")
        case FaultKind.STATUS:
            return _answer(fault, outgoing)
        case FaultKind.CUT:
            return _cut_answer(fault, outgoing)


def _answer(fault: Fault, outgoing: Outgoing) -> InjectedResponse:
    body, default = fault.body, None
    if body is None and fault.status >= 400:
        error = {"message": "injected by llm-fallback", "type": "injected", "code": fault.status}
        body, default = json.dumps({"error": error}).encode(), _JSON
    body = body or b""
    length = str(len(body))
    if fault.status in WITHOUT_BODY or outgoing.method == "HEAD":
        body = b""
    headers = _framed(fault.headers, default or _type_of(body))
    if fault.status not in WITHOUT_BODY:
        headers = (*headers, ("content-length", length))
    return InjectedResponse(fault.status, headers, body, is_cut=False)


def _cut_answer(fault: Fault, outgoing: Outgoing) -> InjectedResponse:
    body, default = fault.body, None
    if body is None and asks_for_stream(outgoing.body):
        body, default = f"data: {json.dumps(_CHUNK)}\n\n".encode(), _STREAM
    elif body is None:
        body, default = json.dumps(_WHOLE).encode()[: -len('"}}]}')], _JSON
    headers = _framed(fault.headers, default or _type_of(body))
    body = b"" if outgoing.method == "HEAD" else body
    return InjectedResponse(fault.status, headers, body, is_cut=True)


def _framed(headers: Headers, default_type: tuple[str, str] | None) -> Headers:
    """The headers less those that say how long the body is, and with a type if they have none."""
    kept = tuple((n, v) for n, v in headers if n.lower() not in ("content-length", "transfer-encoding"))
    has_type = any(name.lower() == "content-type" for name, _ in kept)
    return kept if has_type or default_type is None else (*kept, default_type)


def _type_of(body: bytes) -> tuple[str, str] | None:
    if not body:
        return None
    if body.startswith((b"data:", b"event:")):
        return _STREAM
    return _JSON if body.lstrip().startswith((b"{", b"[")) else ("content-type", "text/plain")
