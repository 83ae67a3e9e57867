"""Requests: chat and completions, embeddings and Responses of OpenAI, messages of Anthropic."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from llm_fallback.conversation import layout
from llm_fallback.conversation.content import item, message, pieces
from llm_fallback.conversation.pieces import Message
from llm_fallback.conversation.values import in_short, one_line
from llm_fallback.json_values import items, mapping, parsed, text
from llm_fallback.wording import counted

type _Read = Callable[[Mapping[str, Any]], str]

_NOT_PARAMETERS = frozenset(
    {
        "model", "stream", "messages", "system", "prompt", "input", "instructions", "tools", "functions",
        "suffix",
    }
)  # fmt: skip
_OF_RESPONSES = frozenset(
    {
        "instructions",
        "max_output_tokens",
        "previous_response_id",
        "reasoning",
        "store",
        "conversation",
        "tools",
    }
)
_OF_EMBEDDINGS = frozenset({"encoding_format", "dimensions"})
_OF_COMPLETIONS = frozenset({"max_tokens", "echo", "best_of", "suffix", "logprobs", "stop", "temperature"})
_MAX_SHOWN_INPUTS = 20
_MAX_PARAMETERS = 8


def request_text(body: bytes, path: str = "") -> str | None:
    """The request as text to read; None for what is none of these.

    `path` is the request's, and decides where the shape alone does not.
    """
    asked = parsed(body)
    if not isinstance(asked, Mapping):
        return None
    read = _reader(asked, path.partition("?")[0].rstrip("/"))
    return read(asked) if read else None


def _reader(asked: Mapping[str, Any], path: str) -> _Read | None:
    if _is_chat(asked):
        return _messages if path.endswith("/messages") or "system" in asked else _chat
    members = asked.keys()
    if "input" in asked and not isinstance(asked["input"], Mapping):
        if path.endswith("/embeddings") or members & _OF_EMBEDDINGS:
            return _embeddings
        if path.endswith("/responses") or _has_items(asked) or members & _OF_RESPONSES:
            return _responses
    if isinstance(asked.get("prompt"), str | list) and (
        path.endswith("/completions") or ("model" in asked and members & _OF_COMPLETIONS)
    ):
        return _completion
    return None


def _is_chat(asked: Mapping[str, Any]) -> bool:
    """Whether it has messages with roles; other APIs have messages, too."""
    said = asked.get("messages")
    if not isinstance(said, list):
        return False
    return all(isinstance(mapping(each).get("role"), str) for each in said) and bool(
        said or asked.get("model")
    )


def _has_items(asked: Mapping[str, Any]) -> bool:
    said = items(asked.get("input"))
    return "model" in asked and bool(said) and all({"role", "type"} & mapping(each).keys() for each in said)


def _chat(asked: Mapping[str, Any]) -> str:
    said = [message(each) for each in asked["messages"]]
    return _page("chat", asked, said, counted(len(said), "message"))


def _messages(asked: Mapping[str, Any]) -> str:
    system = [Message("system", pieces(asked["system"]))] if asked.get("system") else []
    said = [message(each) for each in asked["messages"]]
    return _page("messages", asked, [*system, *said], counted(len(said), "message"))


def _responses(asked: Mapping[str, Any]) -> str:
    given = asked["input"]
    instructions = pieces(asked.get("instructions"))
    system = [Message("system", instructions)] if instructions else []
    said = (
        [Message("user", pieces(given))] if isinstance(given, str) else [_item(each) for each in items(given)]
    )
    return _page("responses", asked, [*system, *said], counted(len(said), "item"))


def _item(value: object) -> Message:
    return item(value) if isinstance(value, Mapping) else Message("user", pieces([value]))


def _completion(asked: Mapping[str, Any]) -> str:
    prompts = _texts(asked["prompt"])
    blocks = [
        layout.block("prompt" if len(prompts) == 1 else f"prompt {n}", each) for n, each in _some(prompts)
    ]
    suffix = text(asked.get("suffix"))
    after = [layout.block("suffix", suffix)] if suffix else []
    top = _top("completion", asked, [counted(len(prompts), "prompt")])
    return layout.page([top, *blocks, *_left_out(prompts), *after])


def _embeddings(asked: Mapping[str, Any]) -> str:
    inputs = _texts(asked["input"])
    blocks = [layout.block(f"input {n}", each) for n, each in _some(inputs)]
    top = _top("embeddings", asked, [counted(len(inputs), "input")])
    return layout.page([top, *blocks, *_left_out(inputs)])


def _texts(given: object) -> list[str]:
    """One or several texts; or tokens, of which only their number says anything."""
    if isinstance(given, str):
        return [given]
    several = items(given)
    if several and all(isinstance(each, int) for each in several):
        return [counted(len(several), "token")]
    return [
        each
        if isinstance(each, str)
        else f"[{counted(len(each), 'token')}]"
        if isinstance(each, list)
        else in_short(each)
        for each in several
    ]


def _some(texts: Sequence[str]) -> Iterable[tuple[int, str]]:
    return enumerate(texts[:_MAX_SHOWN_INPUTS], 1)


def _left_out(texts: Sequence[str]) -> list[str]:
    return [f"[and {len(texts) - _MAX_SHOWN_INPUTS} more]"] if len(texts) > _MAX_SHOWN_INPUTS else []


def _page(api: str, asked: Mapping[str, Any], conversation: Sequence[Message], count: str) -> str:
    tools = [*items(asked.get("tools")), *items(asked.get("functions"))]
    counts = [count, counted(len(tools), "tool") if tools else ""]
    signatures = [layout.block("tools", "\n".join(map(_signature, tools)))] if tools else []
    return layout.page([_top(api, asked, counts), *signatures, *layout.messages(conversation)])


def _top(api: str, asked: Mapping[str, Any], counts: Iterable[str]) -> str:
    streamed = "streamed" if asked.get("stream") is True else ""
    summary = ", ".join(word for word in (one_line(asked.get("model")), streamed, *counts) if word)
    shown = (_parameter(name, value) for name, value in asked.items() if name not in _NOT_PARAMETERS)
    parameters = ", ".join(each for each in shown if each)
    return f"{api} request: {summary}" + (f"\n{parameters}" if parameters else "")


def _parameter(name: str, value: object) -> str:
    if value is None:
        return ""
    inner = mapping(value)
    kind = text(inner.get("type"))
    if name == "response_format" and kind:
        schema = text(mapping(inner.get("json_schema")).get("name"))
        value = f"{kind} {schema}".rstrip()
    elif name == "tool_choice" and kind:
        chosen = text(mapping(inner.get("function")).get("name")) or text(inner.get("name"))
        value = f"{kind} {chosen}".rstrip()
    return f"{one_line(name)} {in_short(value, name)}"


def _signature(tool: object) -> str:
    """A tool's name and its parameters; those that may be left out have a question mark."""
    value = mapping(tool)
    function = mapping(value.get("function")) or value
    name = text(function.get("name"))
    if not name:
        label = one_line(value.get("server_label"))
        return f"{one_line(value.get('type'))} {label}".strip() or in_short(tool)
    schema = mapping(function.get("parameters") or function.get("input_schema"))
    required = {each for each in items(schema.get("required")) if isinstance(each, str)}
    names = [one_line(each) + ("" if each in required else "?") for each in mapping(schema.get("properties"))]
    shown = [*names[:_MAX_PARAMETERS], "…"] if len(names) > _MAX_PARAMETERS else names
    return f"{one_line(name)}({', '.join(shown)})"
