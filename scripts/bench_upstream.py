"""The benchmark's upstream: as little HTTP/1.1 as the proxies need, plain and TLS, in a process of its own.

`bench_upstream.py CERTIFICATE` prints the plain and the TLS port on one line and serves until it is stopped.
A POST whose body asks for a stream is answered with server-sent events, any other with JSON; one to `/503...`
is refused, one to `/hang...` is not answered.
`GET /last` tells what the latest POST looked like, so that the benchmark can check what a proxy made of it.
"""

import asyncio
import json
import re
import ssl
import sys
from typing import cast

EVENTS = 200
# More than any contender needs for one event: otherwise events wait in a socket and are read together.
EVENT_GAP_S = 0.002

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_WANTS_STREAM = re.compile(rb'"stream"\s*:\s*true')
_WORDS = "a short answer that says the same every time "


def _answer() -> bytes:
    message = {"role": "assistant", "content": _WORDS * 18}
    body = json.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1,
            "model": "bench-model",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 200, "completion_tokens": 150, "total_tokens": 350},
        }
    ).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def _chunk(event: str) -> bytes:
    data = f"data: {event}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(number: int) -> bytes:
    delta = {"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}
    event = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "model": "bench-model",
        "choices": [delta],
    }
    return _chunk(json.dumps(event))


ANSWER = _answer()
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\ndown"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM_EVENTS = tuple(_event(number) for number in range(EVENTS))
STREAM_END = _chunk("[DONE]") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection; requests one after the other, bodies by content-length only."""

    last = b""  # the latest POST on any connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = b""
        self._stream: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        while (request := self._take_request()) is not None:
            self._respond(request)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Stop a stream nobody reads."""
        if self._stream is not None:
            self._stream.cancel()

    def _take_request(self) -> bytes | None:
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        length = _CONTENT_LENGTH.search(self._buffer, 0, head_end)
        end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < end:
            return None
        request, self._buffer = self._buffer[:end], self._buffer[end:]
        return request

    def _respond(self, request: bytes) -> None:
        if request.startswith(b"GET /last "):
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(Upstream.last) + Upstream.last
            )
            return
        if not request.startswith(b"POST /v1/"):  # of OpenTelemetry
            Upstream.last = request
        if request.startswith(b"POST /hang"):
            return
        if request.startswith(b"POST /503"):
            self._transport.write(REFUSAL)
        elif _WANTS_STREAM.search(request):
            self._stream = asyncio.get_running_loop().create_task(self._send_stream())
        else:
            self._transport.write(ANSWER)

    async def _send_stream(self) -> None:
        self._transport.write(STREAM_HEAD)
        for event in STREAM_EVENTS:
            self._transport.write(event)
            await asyncio.sleep(EVENT_GAP_S)
        self._transport.write(STREAM_END)


async def serve(certificate: str) -> None:
    """Serve plain and TLS on free ports of the loopback interface, for ever."""
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    plain = await loop.create_server(Upstream, "127.0.0.1", 0)
    tls = await loop.create_server(Upstream, "127.0.0.1", 0, ssl=context)
    print(plain.sockets[0].getsockname()[1], tls.sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(plain.serve_forever(), tls.serve_forever())


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
