"""What an LLM's answer says so far: nothing yet, content, an error, or that it is over. Pure.

Known are OpenAI's chat completions, completions and Responses, and Anthropic's messages. What is of another
shape counts as content: an answer that is not understood is never held back.
"""

import json
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from llm_fallback.sse import ServerSentEvent

_CONTENT_FIELDS = (
    "content", "refusal", "reasoning_content", "reasoning", "tool_calls", "function_call", "audio",
)  # fmt: skip
_END_OF_STREAM = "[DONE]"


class Said(Enum):
    """What an event or a whole answer says."""

    NOTHING = auto()
    CONTENT = auto()
    END = auto()
    """The answer is complete, by its own account."""
    ERROR = auto()
    INVALID = auto()


def of_event(event: ServerSentEvent) -> Said:
    """What an event of a stream says; roles, pings and empty deltas say nothing."""
    if event.data.strip() == _END_OF_STREAM:
        return Said.END
    value = _parsed(event.data)
    if value is None:
        return Said.INVALID
    if not isinstance(value, Mapping):
        return Said.CONTENT
    if event.type == "error" or _is_error(value):
        return Said.ERROR
    if isinstance(choices := value.get("choices"), list):
        return _of_choices(choices, "delta")
    if isinstance(kind := value.get("type"), str):
        return _of_typed(kind, value)
    return Said.NOTHING if "choices" in value or "usage" in value else Said.CONTENT


def of_answer(body: bytes) -> Said:
    """What a whole JSON answer says: content, an error, nothing at all, or what is no JSON."""
    value = _parsed(body)
    if value is None:
        return Said.INVALID
    if not isinstance(value, Mapping):
        return Said.CONTENT
    if _is_error(value) or value.get("type") == "error":
        return Said.ERROR
    if isinstance(choices := value.get("choices"), list):
        said = _of_choices(choices, "message")
        return Said.NOTHING if said is Said.END else said
    if value.get("type") == "message" and isinstance(content := value.get("content"), list):
        return Said.CONTENT if content else Said.NOTHING
    return Said.CONTENT


def broken_tool_call(arguments: str) -> bool:
    """Whether the arguments of a tool call are not the JSON that they have to be."""
    return bool(arguments.strip()) and _parsed(arguments) is None


def tool_call_pieces(event: ServerSentEvent) -> list[tuple[str, str]]:
    """The pieces of tool calls' arguments in an event, each with what tells the call apart."""
    value = _parsed(event.data)
    if not isinstance(value, Mapping):
        return []
    found: list[tuple[str, str]] = []
    for number, choice in enumerate(_list(value.get("choices"))):
        delta = choice.get("delta") if isinstance(choice, Mapping) else None
        for place, call in enumerate(_list(delta.get("tool_calls") if isinstance(delta, Mapping) else None)):
            if isinstance(call, Mapping) and isinstance(function := call.get("function"), Mapping):
                found.append((f"{number}/{call.get('index', place)}", str(function.get("arguments") or "")))
    delta = value.get("delta")
    if isinstance(delta, Mapping) and delta.get("type") == "input_json_delta":
        found.append((str(value.get("index")), str(delta.get("partial_json") or "")))
    return found


def _of_choices(choices: list[Any], part: str) -> Said:
    said = Said.NOTHING
    for choice in choices:
        if not isinstance(choice, Mapping):
            return Said.CONTENT
        inner = choice.get(part)
        if choice.get("text") or (isinstance(inner, Mapping) and any(inner.get(f) for f in _CONTENT_FIELDS)):
            return Said.CONTENT
        if finish := choice.get("finish_reason"):
            # A filter's silence is an answer; an end without a word may be a fault of the provider's.
            said = Said.CONTENT if finish == "content_filter" else Said.END
    return said


def _of_typed(kind: str, value: Mapping[str, Any]) -> Said:
    """Events of Anthropic's messages and of OpenAI's Responses, which name their type."""
    match kind:
        case "ping" | "message_start" | "content_block_stop" | "message_delta":
            return Said.NOTHING
        case "response.created" | "response.in_progress" | "response.queued":
            return Said.NOTHING
        case "message_stop" | "response.completed" | "response.incomplete":
            return Said.END
        case "error" | "response.failed":
            return Said.ERROR
        case "content_block_start":
            block = value.get("content_block")
            return (
                Said.CONTENT
                if isinstance(block, Mapping) and block.get("type") == "tool_use"
                else Said.NOTHING
            )
        case "content_block_delta":
            delta = value.get("delta")
            texts = ("text", "partial_json", "thinking")
            return (
                Said.CONTENT
                if isinstance(delta, Mapping) and any(delta.get(t) for t in texts)
                else Said.NOTHING
            )
        case _ if kind.startswith("response.") and not kind.endswith(".delta"):
            return Said.NOTHING
        case _:
            return Said.CONTENT


def _is_error(value: Mapping[str, Any]) -> bool:
    return bool(value.get("error")) or value.get("object") == "error"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _parsed(text: str | bytes) -> Any:
    """The value of a JSON text; None for what is none. A bare `null` says as little as no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
