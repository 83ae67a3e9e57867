"""Answers in one piece: of chat, completions, embeddings and Responses, of messages, and errors."""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_fallback.conversation import layout
from llm_fallback.conversation.content import item, message
from llm_fallback.conversation.pieces import Answer, Error, Kind, Message, Piece
from llm_fallback.conversation.usage import usage_text
from llm_fallback.conversation.values import decoded_size, in_short, one_line
from llm_fallback.json_values import count, mapping, parsed, text
from llm_fallback.wording import counted

_BYTES_PER_NUMBER = 4  # embeddings in base64 are 32-bit floats


def answer_text(body: bytes) -> str | None:
    """The answer as text to read; None for what is neither an answer nor an error of these APIs."""
    value = parsed(body)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # some wrap their errors
    seen = answer_of(value) if isinstance(value, Mapping) else None
    return layout.answer(seen) if seen else None


def answer_of(value: Mapping[str, Any]) -> Answer | None:
    """What a JSON answer says; None for what is of no known shape."""
    if isinstance(choices := value.get("choices"), list):
        return _of_choices(value, choices)
    if value.get("type") == "message" and isinstance(value.get("content"), list):
        return Answer(
            "messages",
            model_of(value),
            (message(value, "assistant"),),
            one_line(value.get("stop_reason")),
            usage_text(mapping(value.get("usage"))),
        )
    if value.get("object") == "response" and isinstance(value.get("output"), list):
        return _of_response(value)
    if value.get("object") == "list" and isinstance(data := value.get("data"), list):
        return _of_embeddings(value, data)
    error = error_of(value)
    return Answer("", errors=(error,)) if error else None


def error_of(value: Mapping[str, Any]) -> Error | None:
    """The error that a JSON value tells, in any of the shapes that providers have for it."""
    error = value.get("error")
    if isinstance(error, str) and error:
        return Error(error, details=_rest(value, {"error"}))
    if isinstance(error, Mapping) and any(error.values()):
        outer = {name: value[name] for name in ("code", "request_id") if name in value}
        return _error({**outer, **error})
    told = text(value.get("message"))
    if value.get("object") == "error" or (
        told and isinstance(value.get("code"), str) and "choices" not in value
    ):
        return _error({name: each for name, each in value.items() if each != "error"})
    return None


def finish_of(response: Mapping[str, Any]) -> str:
    """Why an answer of the Responses API ends."""
    reason = one_line(mapping(response.get("incomplete_details")).get("reason"))
    return ": ".join(word for word in (one_line(response.get("status")), reason) if word)


def model_of(value: Mapping[str, Any]) -> str:
    """The model that made an answer."""
    return one_line(value.get("model"))


def response_message(output: Sequence[object]) -> Message:
    """The output of the Responses API as one message."""
    said = [piece for each in output if isinstance(each, Mapping) for piece in item(each).pieces]
    return Message("assistant", tuple(said))


def numbered(choices: Sequence[Message], finishes: Sequence[str]) -> tuple[tuple[Message, ...], str]:
    """The choices with what tells them apart, and why the answer ends if there is but one."""
    if len(choices) == 1:
        return tuple(choices), finishes[0]
    notes = (
        f"choice {n} of {len(choices)}" + (f", {finish}" if finish else "")
        for n, finish in enumerate(finishes, 1)
    )
    return tuple(Message(each.role, each.pieces, note) for each, note in zip(choices, notes, strict=True)), ""


def _of_choices(value: Mapping[str, Any], choices: list[Any]) -> Answer | None:
    said = [_choice(mapping(each)) for each in choices]
    known = [each for each in said if each]
    kind = text(value.get("object"))
    if len(known) < len(choices) or not (known or "completion" in kind or "usage" in value):
        return None
    error = error_of(value)
    shown, finish = numbered(known, [one_line(mapping(each).get("finish_reason")) for each in choices])
    return Answer(
        "completion" if any("text" in each for each in choices) or kind == "text_completion" else "chat",
        model_of(value),
        shown,
        finish,
        usage_text(mapping(value.get("usage"))),
        (error,) if error else (),
    )


def _choice(choice: Mapping[str, Any]) -> Message | None:
    if isinstance(said := choice.get("message"), Mapping):
        return message(said, "assistant")
    if isinstance(said := choice.get("text"), str):
        return Message("completion", (Piece(Kind.TEXT, said),) if said else ())
    return None


def _of_response(value: Mapping[str, Any]) -> Answer:
    error = error_of(value)
    return Answer(
        "responses",
        model_of(value),
        (response_message(value["output"]),) if value["output"] else (),
        finish_of(value),
        usage_text(mapping(value.get("usage"))),
        (error,) if error else (),
    )


def _of_embeddings(value: Mapping[str, Any], data: list[Any]) -> Answer | None:
    found = [mapping(each).get("embedding") for each in data]
    vectors = [each for each in found if isinstance(each, list | str)]
    if not vectors or len(vectors) < len(found):
        return None
    sizes = dict.fromkeys(
        len(v) if isinstance(v, list) else decoded_size(v) // _BYTES_PER_NUMBER for v in vectors
    )
    what = counted(len(vectors), "embedding")
    numbers = " or ".join(map(str, sizes))
    return Answer(
        "embeddings",
        model_of(value),
        usage=usage_text(mapping(value.get("usage"))),
        notes=(f"{what} x {numbers} dimensions",),
    )


def _error(told: Mapping[str, Any]) -> Error:
    kind = told.get("type") or told.get("code") or told.get("status")
    shown = str(kind) if count(kind) is not None else one_line(kind)
    known = {"message"} | {name for name, value in told.items() if value == kind}
    return Error(text(told.get("message")), shown, _rest(told, known))


def _rest(told: Mapping[str, Any], known: set[str]) -> str:
    left = (
        (name, value) for name, value in told.items() if name not in known and value not in (None, "", [], {})
    )
    return ", ".join(f"{one_line(name)} {in_short(value, name)}" for name, value in left)
