"""Streams of the known APIs, event by event."""

import json
from typing import Any


def sse(*events: object) -> list[bytes]:
    """Each event as it is sent; texts are sent as they are."""
    return [
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        if isinstance(event, dict) and isinstance(event.get("type"), str)
        else f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()
        for event in events
    ]


def delta(finish: str | None = None, index: int = 0, **fields: Any) -> dict[str, Any]:
    """A chunk of a chat completion."""
    return {"model": "qwen-max", "choices": [{"index": index, "delta": fields, "finish_reason": finish}]}


def call(arguments: str, index: int = 0, **fields: Any) -> dict[str, Any]:
    """A chunk with a piece of a call."""
    function = {"arguments": arguments, **({"name": fields.pop("name")} if "name" in fields else {})}
    return delta(tool_calls=[{"index": index, "function": function, **fields}])


CHAT = sse(
    delta(role="assistant", content=""),
    delta(reasoning_content="Hm"),
    delta(reasoning_content="."),
    delta(content="Let me "),
    delta(content="look — 你好."),
    call("", id="c1", name="f"),
    call('{"a":'),
    call(" 1}"),
    delta("tool_calls"),
    {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 20}},
    "[DONE]",
)

MESSAGES = sse(
    {
        "type": "message_start",
        "message": {"model": "claude", "usage": {"input_tokens": 10, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "AAAA"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "ping"},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Let me "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "look."}},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "t1", "name": "f", "input": {}},
    },
    {
        "type": "content_block_delta",
        "index": 2,
        "delta": {"type": "input_json_delta", "partial_json": '{"a":'},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": " 1}"}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 20}},
    {"type": "message_stop"},
)

_CALL = {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f"}
RESPONSES = sse(
    {"type": "response.created", "response": {"model": "gpt-5", "status": "in_progress", "output": []}},
    {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "summary": []}},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "Hm."},
    {"type": "response.output_item.done", "output_index": 0, "item": {"type": "reasoning", "summary": []}},
    {"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "content": []}},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "Let me "},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "look."},
    {"type": "response.output_item.added", "output_index": 2, "item": {**_CALL, "arguments": ""}},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "item_id": "fc", "delta": '{"a":'},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "item_id": "fc", "delta": " 1}"},
    {"type": "response.output_item.done", "output_index": 2, "item": {**_CALL, "arguments": '{"a": 1}'}},
    {
        "type": "response.completed",
        "response": {
            "model": "gpt-5",
            "status": "completed",
            "usage": {"input_tokens": 10, "output_tokens": 20},
            "output": [{**_CALL, "arguments": '{"a": 1}'}],
        },
    },
)
