"""What an LLM's answer says: nothing yet, content, an error, that it is over. Pure.

Known are OpenAI's chat completions, completions and Responses, and Anthropic's messages. What is of another
shape counts as content: an answer that is not understood is never held back.
"""

from collections.abc import Mapping
from enum import Flag, auto
from typing import Any

from llm_fallback.json_values import items, mapping, parsed, text
from llm_fallback.sse import ServerSentEvent

_CONTENT_FIELDS = (
    "content", "refusal", "reasoning_content", "reasoning", "reasoning_details", "tool_calls",
    "function_call", "audio", "images",
)  # fmt: skip
_END_OF_STREAM = "[DONE]"
_SILENT_BLOCKS = frozenset({"text", "thinking"})


class Said(Flag):
    """What an event or a whole answer says; an event can say several things at once."""

    NOTHING = 0
    CONTENT = auto()
    STOP = auto()
    """The model has stopped; the stream may go on, with figures for instance."""
    END = auto()
    """Nothing of any interest follows."""
    ERROR = auto()
    INVALID = auto()


_TYPES = {
    "ping": Said.NOTHING,
    "message_start": Said.NOTHING,
    "message_delta": Said.NOTHING,
    "content_block_stop": Said.NOTHING,
    "message_stop": Said.END,
    "error": Said.ERROR,
    "response.failed": Said.ERROR,
}


def of_event(event: ServerSentEvent) -> Said:
    """What an event of a stream says; roles, pings and empty deltas say nothing."""
    if event.data.strip() == _END_OF_STREAM:
        return Said.END
    value = parsed(event.data)
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
    value = parsed(body)
    if value is None:
        return Said.CONTENT if _is_json_lines(body) else Said.INVALID
    if not isinstance(value, Mapping):
        return Said.CONTENT
    if _is_error(value) or value.get("type") == "error":
        return Said.ERROR
    if isinstance(choices := value.get("choices"), list):
        return _of_choices(choices, "message") & ~Said.STOP
    if value.get("type") == "message" and isinstance(blocks := value.get("content"), list):
        return Said.CONTENT if any(map(_has_content, blocks)) else Said.NOTHING
    if value.get("object") == "response" and isinstance(output := value.get("output"), list):
        return Said.CONTENT if output else Said.NOTHING
    return Said.CONTENT


def broken_tool_call(arguments: str) -> bool:
    """Whether the arguments of a tool call are not the JSON that they have to be."""
    return bool(arguments.strip()) and parsed(arguments) is None


def tool_call_pieces(event: ServerSentEvent) -> list[tuple[str, str]]:
    """The pieces of tool calls' arguments in an event, each with what tells the call apart."""
    value = parsed(event.data)
    if not isinstance(value, Mapping):
        return []
    found: list[tuple[str, str]] = []
    for position, choice in enumerate(items(value.get("choices"))):
        if not isinstance(choice, Mapping):
            continue
        number = choice.get("index", position)
        for place, call in enumerate(items(mapping(choice.get("delta")).get("tool_calls"))):
            if isinstance(call, Mapping) and isinstance(function := call.get("function"), Mapping):
                found.append((f"{number}/{call.get('index', place)}", text(function.get("arguments"))))
    delta = value.get("delta")
    if isinstance(delta, Mapping) and delta.get("type") == "input_json_delta":
        found.append((str(value.get("index")), text(delta.get("partial_json"))))
    if value.get("type") == "response.function_call_arguments.delta" and isinstance(delta, str):
        found.append((str(value.get("item_id")), delta))
    return found


def tool_call_arguments(body: bytes) -> list[str]:
    """The arguments of the tool calls in an answer in one piece; Anthropic's are no text, never broken."""
    value = mapping(parsed(body))
    messages = [mapping(mapping(choice).get("message")) for choice in items(value.get("choices"))]
    calls = [mapping(call).get("function") for each in messages for call in items(each.get("tool_calls"))]
    calls += [item for item in items(value.get("output")) if mapping(item).get("type") == "function_call"]
    return [text(mapping(call).get("arguments")) for call in calls]


def _of_choices(choices: list[Any], part: str) -> Said:
    said = Said.NOTHING
    for choice in choices:
        if not isinstance(choice, Mapping):
            return Said.CONTENT
        inner = mapping(choice.get(part))
        if choice.get("text") or any(inner.get(field) for field in _CONTENT_FIELDS):
            said |= Said.CONTENT
        match choice.get("finish_reason"):
            case None | "":
                pass
            case "error":
                return Said.ERROR
            case "content_filter":  # a filter's silence is an answer
                said |= Said.CONTENT | Said.STOP
            case _:
                said |= Said.STOP
    return said


def _of_typed(kind: str, value: Mapping[str, Any]) -> Said:
    """Events of Anthropic's messages and of OpenAI's Responses, which name their type."""
    if (known := _TYPES.get(kind)) is not None:
        return known
    match kind:
        case "response.completed" | "response.incomplete":
            return Said.END | (Said.CONTENT if mapping(value.get("response")).get("output") else Said.NOTHING)
        case "content_block_start":
            return Said.CONTENT if _has_content(value.get("content_block")) else Said.NOTHING
        case "content_block_delta":
            delta = mapping(value.get("delta"))
            says = any(delta.get(field) for field in ("text", "partial_json", "thinking"))
            return Said.CONTENT if says else Said.NOTHING
        case _ if kind.startswith("response."):
            return Said.CONTENT if kind.endswith(".delta") and value.get("delta") else Said.NOTHING
        case _:
            return Said.CONTENT


def _has_content(block: object) -> bool:
    """Whether a block of Anthropic's has something in it; calls of tools, for instance, always have."""
    if not isinstance(block, Mapping):
        return False
    kind = block.get("type")
    return kind not in _SILENT_BLOCKS or bool(block.get(kind))


def _is_error(value: Mapping[str, Any]) -> bool:
    error = value.get("error")
    says = any(error.values()) if isinstance(error, Mapping) else bool(error)
    return says or value.get("object") == "error"


def _is_json_lines(body: bytes) -> bool:
    """Whether it is a stream of JSON values, one in each line, by whatever name."""
    lines = body.splitlines()
    return len(lines) > 1 and all(parsed(line) is not None for line in lines if line.strip())
