"""Answers of an LLM provider, good and bad, in the shape that the request asks for."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from tests.support.provider import SSE_HEAD, Behaviour, Exchange, chunk, head

CONTENT = "Hello, I am the one who answers."
DONE = b"data: [DONE]\n\n"
JSON_TYPE = ("content-type", "application/json")
KEEP_ALIVE_S = 0.1
_END = b"0\r\n\r\n"
_CHUNKED_JSON_HEAD = head(200, (JSON_TYPE, ("transfer-encoding", "chunked")))


def wants_stream(exchange: Exchange) -> bool:
    """Whether the request asks for server-sent events."""
    return b'"stream":true' in exchange.request.body.replace(b" ", b"")


def event(value: Any, kind: str = "") -> bytes:
    """A server-sent event with this value, which may be text."""
    data = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return (f"event: {kind}\n" if kind else "").encode() + f"data: {data}\n\n".encode()


def delta(value: dict[str, Any], finish: str | None = None, model: str = "a-model") -> bytes:
    """An event of OpenAI's streamed chat completions."""
    choice = {"index": 0, "delta": value, "finish_reason": finish}
    return event(
        {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
    )


def completion(message: dict[str, Any], finish: str = "stop", model: str = "a-model") -> bytes:
    """One of OpenAI's chat completions, whole."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    answer = {"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
    return json.dumps(answer).encode()


def events(content: str = CONTENT, model: str = "a-model") -> tuple[bytes, ...]:
    """A streamed answer, event by event."""
    words = content.split(" ")
    pieces = [delta({"content": word if n == 0 else f" {word}"}, model=model) for n, word in enumerate(words)]
    return (
        delta({"role": "assistant", "content": ""}, model=model),
        *pieces,
        delta({}, "stop", model),
        DONE,
    )


def whole(content: str = CONTENT, model: str = "a-model") -> bytes:
    """The same answer as JSON."""
    return completion({"content": content}, model=model)


def serve(json_body: bytes, stream: Iterable[bytes], headers: tuple[tuple[str, str], ...] = ()) -> Behaviour:
    """Answer with the one or the other, as asked, and keep the connection."""
    stream = tuple(stream)

    async def behave(exchange: Exchange) -> None:
        if wants_stream(exchange):
            sse_head = SSE_HEAD[:-2] + "".join(f"{n}: {v}\r\n" for n, v in headers).encode() + b"\r\n"
            await exchange.send(sse_head + b"".join(map(chunk, stream)) + _END)
        else:
            length = ("content-length", str(len(json_body)))
            await exchange.send(head(200, (JSON_TYPE, length, *headers)) + json_body)

    return behave


def good(content: str = CONTENT, model: str = "a-model") -> Behaviour:
    """Answer as one should."""
    return serve(whole(content, model), events(content, model))


async def hang_after_200(exchange: Exchange) -> None:
    """Send the head of an answer, and nothing more."""
    await _begin(exchange)
    await exchange.hung_up()


async def nonsense(exchange: Exchange) -> None:
    """Send the head of an answer, a chunk in which nothing is said, and one that is none; and stay."""
    await exchange.send(SSE_HEAD if wants_stream(exchange) else _CHUNKED_JSON_HEAD)
    await exchange.send(chunk(b" \n") + b"ZZ\r\n")
    await exchange.hung_up()


async def only_keep_alive(exchange: Exchange) -> None:
    """Send signs of life for ever: comments, or the blank lines that stand for them before JSON."""
    if wants_stream(exchange):
        await exchange.send(SSE_HEAD)
        await keep_alive(exchange)
    else:
        await exchange.send(_CHUNKED_JSON_HEAD)
        await keep_alive(exchange, b"\n")


async def keep_alive(exchange: Exchange, sign: bytes = b": keep-alive\n\n") -> None:
    """Send a sign of life again and again, until the other side leaves."""
    left = asyncio.ensure_future(exchange.hung_up())
    while not left.done():
        await exchange.send(chunk(sign))
        await asyncio.wait([left], timeout=KEEP_ALIVE_S)


async def pause(seconds: float) -> None:
    """Do nothing for a while, as slow providers do."""
    await asyncio.sleep(seconds)


ERROR = {"error": {"message": "overloaded", "type": "server_error", "code": "overloaded"}}
error_answer = serve(json.dumps(ERROR).encode(), [event(ERROR)])
"""A 200 that says in its body, or in its first event, that it is none."""

empty_answer = serve(
    completion({"content": ""}), [delta({"role": "assistant", "content": ""}), delta({}, "stop"), DONE]
)
"""A completion without a word in it."""

invalid_answer = serve(b"<html>It works!</html>", [event("<html>It works!</html>")])
"""What calls itself JSON, and is not."""


def _call(arguments: str, **first: str) -> dict[str, Any]:
    function = {"name": "weather", "arguments": arguments} if first else {"arguments": arguments}
    return {"tool_calls": [{"index": 0, **first, "function": function}]}


_CALL_BEGINS = (
    delta({"role": "assistant", "content": None}),
    delta(_call("", id="call_1", type="function")),
    delta(_call('{"city": "Ber')),
)


def _called(arguments: str) -> bytes:
    return completion(_call(arguments, id="call_1", type="function"), "tool_calls")


_WHOLE_CALL = _called('{"city": "Berlin"}')


async def cut_tool_call(exchange: Exchange) -> None:
    """Close the connection in the middle of a tool call's arguments."""
    if wants_stream(exchange):
        await exchange.send(SSE_HEAD + b"".join(map(chunk, _CALL_BEGINS)))
    else:
        length = ("content-length", str(len(_WHOLE_CALL)))
        await exchange.send(head(200, (JSON_TYPE, length)) + _WHOLE_CALL.partition(b"lin")[0])
    exchange.close()


broken_tool_call = serve(_called('{"city": "Ber'), [*_CALL_BEGINS, delta({}, "tool_calls"), DONE])
"""An answer that is complete, except for a tool call's arguments."""


async def _begin(exchange: Exchange) -> None:
    length = ("content-length", "100")
    await exchange.send(SSE_HEAD if wants_stream(exchange) else head(200, (JSON_TYPE, length)))


def message_events(content: str = CONTENT) -> tuple[bytes, ...]:
    """A streamed answer of Anthropic's messages."""
    empty = {"type": "text", "text": ""}
    named: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**_message(""), "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": content}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 1},
        },
        {"type": "message_stop"},
    ]
    return tuple(event(value, value["type"]) for value in named)


def message(content: str = CONTENT) -> bytes:
    """The same answer as JSON."""
    return json.dumps(_message(content)).encode()


def _message(content: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "a-model",
        "content": [{"type": "text", "text": content}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


_OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
message_error = serve(json.dumps(_OVERLOADED).encode(), [message_events()[0], event(_OVERLOADED, "error")])
"""Anthropic's way to say within a 200 that it cannot."""
