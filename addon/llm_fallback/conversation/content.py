"""The content of messages in all the APIs: texts, files, thoughts, calls of tools and their results."""

from collections.abc import Mapping
from typing import Any

from llm_fallback.conversation.pieces import Kind, Message, Piece
from llm_fallback.conversation.values import address, as_json, decoded_size, in_short, one_line, size
from llm_fallback.json_values import items, mapping, text

_MAX_DEPTH = 3
_TEXTS = frozenset({"text", "input_text", "output_text", "summary_text", "reasoning_text"})
_CALLS = frozenset(
    {"function_call", "custom_tool_call", "mcp_call", "tool_use", "server_tool_use", "mcp_tool_use"}
)
_FILES = {
    "image_url": "image",
    "input_image": "image",
    "image": "image",
    "image_generation_call": "image",
    "input_audio": "audio",
    "audio_url": "audio",
    "audio": "audio",
    "video_url": "video",
    "video": "video",
    "file": "file",
    "input_file": "file",
    "document": "document",
}
_DATA = ("data", "file_data", "base64", "b64_json", "result")
_PLACES = ("url", "file_url", "image_url", "file_id", "file_uri")
_NAMES = ("filename", "title", "media_type", "mime_type", "format")


def pieces(content: object, depth: int = 0) -> tuple[Piece, ...]:
    """What a message's content is made of."""
    if isinstance(content, str):
        return (Piece(Kind.TEXT, content),) if content else ()
    parts = content if isinstance(content, list) else [] if content is None else [content]
    return tuple(piece for part in parts for piece in _part(part, depth))


def message(value: Mapping[str, Any], role: str = "") -> Message:
    """A message of a chat: OpenAI's or Anthropic's, asked or answered."""
    role = text(value.get("role")) or role
    said = pieces(value.get("content"))
    if role in {"tool", "function"}:
        call = text(value.get("tool_call_id"))
        result = Piece(Kind.RESULT, _lines(said), text(value.get("name")), call)
        return Message(role, (result,))
    return Message(
        role, (*_thoughts(value), *said, *_refusal(value), *_calls(value), *_extras(value)), _name(value)
    )


def item(value: Mapping[str, Any]) -> Message:
    """An item of the Responses API: a message, or what else happens between them."""
    kind = value.get("type")
    if kind == "message" or (kind is None and "content" in value):
        return message(value, "user")
    role = "tool" if text(kind).endswith("_output") else "assistant"
    return Message(role, tuple(_part(value, 0)))


def call(name: object, identity: object, arguments: object) -> Piece:
    """A call of a tool; its arguments come as JSON text or as a value."""
    said = arguments if isinstance(arguments, str) else "" if arguments is None else as_json(arguments)
    return Piece(Kind.CALL, said, text(name), text(identity))


def _part(part: object, depth: int) -> tuple[Piece, ...]:
    if isinstance(part, str):
        return (Piece(Kind.TEXT, part),) if part else ()
    if not isinstance(part, Mapping) or depth >= _MAX_DEPTH:
        return (Piece(Kind.OTHER, in_short(part)),)
    kind = text(part.get("type"))
    if kind in _TEXTS or (not kind and isinstance(part.get("text"), str)):
        return (Piece(Kind.TEXT, text(part.get("text"))),) if part.get("text") else ()
    if kind in _CALLS:
        return _call_part(part)
    if kind in _FILES:
        return (Piece(Kind.OTHER, _file(_FILES[kind], part)),)
    if kind.endswith(("_output", "tool_result")):
        return (_result(part, depth),)
    return _rarer_part(kind, part)


def _rarer_part(kind: str, part: Mapping[str, Any]) -> tuple[Piece, ...]:
    match kind:
        case "refusal":
            return (Piece(Kind.REFUSAL, text(part.get("refusal"))),)
        case "thinking":
            return (Piece(Kind.THINKING, text(part.get("thinking"))),) if part.get("thinking") else ()
        case "redacted_thinking":
            return (Piece(Kind.THINKING, f"[encrypted, {size(decoded_size(text(part.get('data'))))}]"),)
        case "reasoning":
            return _reasoning(part)
        case "item_reference":
            return (Piece(Kind.OTHER, f"[item {one_line(part.get('id'))}]"),)
        case _:
            return (Piece(Kind.OTHER, _unknown(kind, part)),)


def _call_part(part: Mapping[str, Any]) -> tuple[Piece, ...]:
    arguments = next((part[key] for key in ("arguments", "input") if key in part), None)
    made = call(part.get("name"), part.get("call_id") or part.get("id"), arguments)
    if part.get("type") == "mcp_call" and (part.get("output") or part.get("error")):
        output = part.get("output") or part.get("error")
        result = _lines(pieces(output, _MAX_DEPTH))
        return (made, Piece(Kind.RESULT, result, made.name, made.id, has_failed=not part.get("output")))
    return (made,)


def _result(part: Mapping[str, Any], depth: int) -> Piece:
    content = part.get("output") if "output" in part else part.get("content")
    identity = text(part.get("tool_use_id") or part.get("call_id"))
    return Piece(
        Kind.RESULT, _lines(pieces(content, depth + 1)), id=identity, has_failed=part.get("is_error") is True
    )


def _reasoning(part: Mapping[str, Any]) -> tuple[Piece, ...]:
    said = _lines(pieces(items(part.get("summary")) + items(part.get("content")), 1))
    if said:
        return (Piece(Kind.THINKING, said),)
    encrypted = text(part.get("encrypted_content"))
    return (Piece(Kind.THINKING, f"[encrypted, {size(decoded_size(encrypted))}]"),) if encrypted else ()


def _thoughts(value: Mapping[str, Any]) -> tuple[Piece, ...]:
    said = text(value.get("reasoning_content")) or text(value.get("reasoning"))
    return (Piece(Kind.THINKING, said),) if said else ()


def _refusal(value: Mapping[str, Any]) -> tuple[Piece, ...]:
    said = text(value.get("refusal"))
    return (Piece(Kind.REFUSAL, said),) if said else ()


def _calls(value: Mapping[str, Any]) -> tuple[Piece, ...]:
    made: list[Piece] = []
    for each in (*items(value.get("tool_calls")), {"function": value.get("function_call")}):
        tool = mapping(each)
        function = mapping(tool.get("function") or tool.get("custom"))
        if function:
            arguments = function.get("arguments", function.get("input"))
            made.append(call(function.get("name"), tool.get("id"), arguments))
    return tuple(made)


def _extras(value: Mapping[str, Any]) -> tuple[Piece, ...]:
    """What an answer holds beside its content: a voice, pictures."""
    extras = pieces(value.get("images"))
    audio = value.get("audio")
    if isinstance(audio, Mapping):
        spoken = text(audio.get("transcript"))
        extras += (Piece(Kind.OTHER, _file("audio", audio) + (f" {spoken}" if spoken else "")),)
    return extras


def _name(value: Mapping[str, Any]) -> str:
    name = one_line(value.get("name"))
    return f"named {name}" if name else ""


def _lines(said: tuple[Piece, ...]) -> str:
    return "\n".join(
        f"[refuses] {piece.text}" if piece.kind is Kind.REFUSAL else piece.text for piece in said
    )


def _file(what: str, part: Mapping[str, Any]) -> str:
    """What is known of a file: its name, its type, its size or where it is; never what is in it."""
    known = [what]
    kind = text(part.get("type"))
    inner = part.get("source", part.get(kind))
    for fields in (part, mapping(inner)):
        known += [one_line(fields[key]) for key in _NAMES if fields.get(key) and isinstance(fields[key], str)]
        known += [_place(fields[key]) for key in _PLACES if fields.get(key) and isinstance(fields[key], str)]
        known += [_data(fields, key) for key in _DATA if fields.get(key) and isinstance(fields[key], str)]
    if isinstance(inner, str) and kind not in _PLACES:
        known.append(_place(inner))
    if isinstance(inner, list):
        known.append(f"{len(inner)} pictures")
    return f"[{', '.join(dict.fromkeys(known))}]"


def _data(fields: Mapping[str, Any], key: str) -> str:
    """Data of a file, in base64 with or without saying so; a document's may be plain text."""
    data = text(fields[key])
    if data.startswith("data:"):
        return _place(data)
    return size(len(data) if fields.get("type") == "text" else decoded_size(data))


def _place(url: str) -> str:
    return address(url).removeprefix("[").removesuffix("]") if url.startswith("data:") else address(url)


def _unknown(kind: str, part: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in part.items() if key not in {"type", "id"} and value is not None}
    return f"[{one_line(kind) or 'unknown'}] {in_short(rest)}" if rest else f"[{one_line(kind) or 'unknown'}]"
