"""What each event of a stream adds to the answer: chat and completions, messages, and Responses."""

from collections.abc import Hashable, Mapping
from typing import Any

from llm_fallback.conversation.answers import error_of, finish_of, model_of, response_message
from llm_fallback.conversation.content import call, item, pieces
from llm_fallback.conversation.draft import Draft
from llm_fallback.conversation.pieces import Error, Kind
from llm_fallback.conversation.values import one_line
from llm_fallback.json_values import items, mapping, parsed, text
from llm_fallback.sse import ServerSentEvent

_END = "[DONE]"
_ONLY = 0  # there is but one choice in messages and Responses
_RESPONSE_TEXTS = {
    "response.output_text.delta": Kind.TEXT,
    "response.refusal.delta": Kind.REFUSAL,
    "response.reasoning_text.delta": Kind.THINKING,
    "response.reasoning_summary_text.delta": Kind.THINKING,
}
_RESPONSE_CALLS = frozenset(
    {
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.mcp_call_arguments.delta",
    }
)
_WRITTEN_BY_DELTAS = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})


def take(event: ServerSentEvent, draft: Draft) -> bool:
    """Add the event to the draft; returns whether its data is what it has to be: JSON, or the end."""
    if event.data.strip() == _END:
        draft.is_over = True
        return True
    value = parsed(event.data)
    if not isinstance(value, Mapping):
        return value is not None
    kind = text(value.get("type")) or event.type
    if isinstance(choices := value.get("choices"), list):
        _chunk(value, choices, draft)
    elif kind.startswith("response."):
        _of_responses(kind, value, draft)
    elif kind in _MESSAGES:
        draft.api = draft.api or "messages"
        _MESSAGES[kind](value, draft)
    elif error := _error(value, is_one="error" in {kind, event.type}):
        draft.errors.append(error)
    elif draft.api:
        draft.usage.update(mapping(value.get("usage")))
    return True


def _error(value: Mapping[str, Any], *, is_one: bool) -> Error | None:
    if (error := error_of(value)) or not is_one:
        return error
    rest = {name: each for name, each in value.items() if each != "error" and name != "sequence_number"}
    return error_of({"error": rest}) or Error("")


def _chunk(value: Mapping[str, Any], choices: list[Any], draft: Draft) -> None:
    if error := error_of(value):
        draft.errors.append(error)
    is_completion = value.get("object") == "text_completion" or any("text" in mapping(c) for c in choices)
    draft.api = draft.api or ("completion" if is_completion else "chat")
    draft.model = model_of(value) or draft.model
    draft.usage.update(mapping(value.get("usage")))
    for position, each in enumerate(choices):
        choice = mapping(each)
        index = choice.get("index")
        key = index if isinstance(index, int) else position
        _delta(key, mapping(choice.get("delta") or choice.get("message")), draft)
        draft.write(key, "content", Kind.TEXT, text(choice.get("text")))
        if finish := one_line(choice.get("finish_reason")):
            draft.finishes[key] = finish


def _delta(choice: int, delta: Mapping[str, Any], draft: Draft) -> None:
    draft.write(
        choice, "thinking", Kind.THINKING, text(delta.get("reasoning_content") or delta.get("reasoning"))
    )
    content = delta.get("content")
    for piece in pieces(content):
        if piece.kind in {Kind.TEXT, Kind.THINKING}:
            draft.write(choice, "content" if piece.kind is Kind.TEXT else "thinking", piece.kind, piece.text)
        else:
            draft.say(choice, ("other", draft.said), piece)
    draft.write(choice, "refusal", Kind.REFUSAL, text(delta.get("refusal")))
    draft.write(choice, "spoken", Kind.TEXT, text(mapping(delta.get("audio")).get("transcript")))
    for piece in pieces(delta.get("images")):
        draft.say(choice, ("other", draft.said), piece)
    if function := mapping(delta.get("function_call")):
        draft.say(choice, "function_call", call(function.get("name"), "", function.get("arguments")))
    for place, each in enumerate(items(delta.get("tool_calls"))):
        _tool_call(choice, place, mapping(each), draft)


def _tool_call(choice: int, place: int, tool: Mapping[str, Any], draft: Draft) -> None:
    """A piece of a call; some give every call of an answer the same index, and only its id tells it apart."""
    function = mapping(tool.get("function"))
    index, identity = tool.get("index"), text(tool.get("id"))
    part = (choice, index if isinstance(index, int) else place)
    latest = draft.latest.get(part, "")
    if identity and identity != latest:
        draft.latest[part] = latest = identity
    draft.say(choice, ("call", part, latest), call(function.get("name"), identity, function.get("arguments")))


def _message_start(value: Mapping[str, Any], draft: Draft) -> None:
    started = mapping(value.get("message"))
    draft.model = model_of(started) or draft.model
    # What was written is not known yet: the number that stands there is only its place.
    draft.usage.update({n: each for n, each in mapping(started.get("usage")).items() if n != "output_tokens"})


def _block_start(value: Mapping[str, Any], draft: Draft) -> None:
    block = mapping(value.get("content_block"))
    part = _place(value, "index")
    if "input" in block and not block["input"]:
        block = {**block, "input": ""}  # it comes in pieces
    for piece in pieces([block]) if block else ():
        draft.say(_ONLY, part, piece)


def _block_delta(value: Mapping[str, Any], draft: Draft) -> None:
    delta, part = mapping(value.get("delta")), _place(value, "index")
    match delta.get("type"):
        case "text_delta":
            draft.write(_ONLY, part, Kind.TEXT, text(delta.get("text")))
        case "thinking_delta":
            draft.write(_ONLY, part, Kind.THINKING, text(delta.get("thinking")))
        case "input_json_delta":
            draft.write(_ONLY, part, Kind.CALL, text(delta.get("partial_json")))


def _message_delta(value: Mapping[str, Any], draft: Draft) -> None:
    draft.usage.update({name: each for name, each in mapping(value.get("usage")).items() if each is not None})
    if reason := one_line(mapping(value.get("delta")).get("stop_reason")):
        draft.finishes[_ONLY] = reason


def _message_stop(_: Mapping[str, Any], draft: Draft) -> None:
    draft.is_over = True


_MESSAGES = {
    "message_start": _message_start,
    "content_block_start": _block_start,
    "content_block_delta": _block_delta,
    "message_delta": _message_delta,
    "message_stop": _message_stop,
}


def _of_responses(kind: str, value: Mapping[str, Any], draft: Draft) -> None:
    draft.api = draft.api or "responses"
    part = _place(value, "output_index")
    if (written := _RESPONSE_TEXTS.get(kind)) is not None:
        inner = _place(value, "summary_index" if "summary_index" in value else "content_index")
        draft.write(_ONLY, (part, kind, inner), written, text(value.get("delta")))
    elif kind in _RESPONSE_CALLS:
        draft.write(_ONLY, part, Kind.CALL, text(value.get("delta")))
    elif kind == "response.output_item.added" and _kind_of_item(value) in _WRITTEN_BY_DELTAS:
        for piece in item(mapping(value.get("item"))).pieces:
            if piece.kind is Kind.CALL:
                draft.say(_ONLY, part, piece)
    elif kind == "response.output_item.done" and _kind_of_item(value) not in _WRITTEN_BY_DELTAS:
        for number, piece in enumerate(item(mapping(value.get("item"))).pieces):
            if not draft.has(_ONLY, part):
                draft.say(_ONLY, part if not number else (part, number), piece)
    elif response := mapping(value.get("response")):
        _response(kind, response, draft)


def _response(kind: str, response: Mapping[str, Any], draft: Draft) -> None:
    draft.model = model_of(response) or draft.model
    draft.usage.update(mapping(response.get("usage")))
    if kind not in {"response.completed", "response.incomplete", "response.failed"}:
        return
    draft.is_over = True
    draft.finishes[_ONLY] = finish_of(response) or kind.removeprefix("response.")
    if error := error_of(response):
        draft.errors.append(error)
    if not draft.said:
        for number, piece in enumerate(response_message(items(response.get("output"))).pieces):
            draft.say(_ONLY, number, piece)


def _kind_of_item(value: Mapping[str, Any]) -> str:
    return text(mapping(value.get("item")).get("type"))


def _place(value: Mapping[str, Any], name: str) -> Hashable:
    place = value.get(name)
    return place if isinstance(place, int | str) else None
