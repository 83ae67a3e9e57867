"""A provider that repeats the credentials it was sent, in the way that the request's `X-Play` asks for."""

import gzip
import json
from urllib.parse import urlsplit

from tests.support.answers import DONE, completion, delta, event
from tests.support.provider import SSE_HEAD, Exchange, Request, chunk, hang, head

IN_ANSWER = "marker-in-an-answer"
PLAYS = ("error", "stream", "inside", "inside-stream", "cut", "packed", "header")
HANG = "hang"
_JSON = ("content-type", "application/json")
_CARRIED = ("authorization", "api-key", "x-api-key", "cookie", "referer", "x-appkey", "x-page")


def quoted(request: Request) -> str:
    """What it has been sent that may be a credential, as it came."""
    headers = [value for name, value in request.headers if name.lower() in _CARRIED]
    return " ".join([*headers, urlsplit(request.path).query])


async def parrot(exchange: Exchange) -> None:
    """Answer as the request asks."""
    play = exchange.request.header("x-play")
    said = f"{IN_ANSWER}: bad key {quoted(exchange.request)}"
    error = {"error": {"message": said, "type": "invalid_request_error"}}
    match play:
        case "hang":
            await hang(exchange)
        case "stream" | "inside-stream" | "cut":
            events = (event(error),) if play == "inside-stream" else (delta({"content": said}), DONE)
            end = b"" if play == "cut" else b"0\r\n\r\n"
            await exchange.send(SSE_HEAD + b"".join(map(chunk, events)) + end)
            if play == "cut":
                exchange.close()
        case "packed":
            packing = ("content-encoding", "gzip")
            await _answer(exchange, 200, gzip.compress(json.dumps(error).encode()), packing)
        case "header":
            await _answer(exchange, 200, json.dumps({"marker": IN_ANSWER}).encode(), ("x-debug", said))
        case "error":
            await _answer(exchange, 401, json.dumps(error).encode())
        case "inside":
            await _answer(exchange, 200, json.dumps(error).encode())
        case _:
            await _answer(exchange, 503, json.dumps(error).encode(), ("x-debug", said))


async def chatty_parrot(exchange: Exchange) -> None:
    """Answer well, and repeat them in what the model says."""
    said = f"{IN_ANSWER}: {quoted(exchange.request)}"
    await _answer(exchange, 200, completion({"content": said}))


async def _answer(exchange: Exchange, status: int, body: bytes, *headers: tuple[str, str]) -> None:
    length = ("content-length", str(len(body)))
    await exchange.send(head(status, (_JSON, length, *headers)) + body)
