"""What an LLM's answer says of itself: its model, its tokens, why it ends. Pure, and cheap for any answer.

Known are OpenAI's chat completions, completions, embeddings and Responses, and Anthropic's messages, in one
piece and as streams. A short JSON answer is read as JSON. Of anything else only the values of the few names
that matter are read where they stand, so that a cut or broken answer gives what it has, and a long one costs
little.
"""

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from llm_fallback.events import NO_FIGURES, Figures
from llm_fallback.json_values import count, parsed

_KIB = 1024
_MAX_PARSED = 32 * _KIB
_MAX_DECODED = 1024 * _KIB
_END = 64 * _KIB  # of an answer: room for its usage, and for what may follow that
_MAX_VALUE = 4 * _KIB
_MAX_LOOKS = 400  # at places with the same name: a stream may have `"usage":null` in each event
_MAX_NAME = 200

_COLON = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
_STREAM = re.compile(rb"(?:\xef\xbb\xbf)?(?:data|event|id|retry)?:")
_NO_TEXT = ("audio/", "font/", "image/", "video/")
_ENDS = ("completed", "incomplete", "failed")
_FAILURES = frozenset({"error", "failed"})
_ERROR = re.compile(
    rb'^(?:event: ?error *\r?$|data: ?\{[ \t]*"(?:error"[ \t]*:[ \t]*[{"]|type"[ \t]*:[ \t]*"error"))',
    re.MULTILINE,
)
"""An event that is an error; one that has an error somewhere in it may be about a tool's."""

_DECODER = json.JSONDecoder()
_WINDOW_BITS = {
    "gzip": (zlib.MAX_WBITS | 16,),
    "x-gzip": (zlib.MAX_WBITS | 16,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),  # some servers leave zlib's header out
}


def figures_of(
    media_type: str, body: bytes, tail: bytes = b"", *, content_encoding: str = "identity"
) -> Figures:
    """What the answer says of itself, as far as it is known; never raises.

    `body` is its beginning. `tail` is its end, if there is something missing between the two. Encodings other
    than gzip and deflate are not read. Tokens that a cache saved are counted as input, as OpenAI's are.
    """
    encoding = content_encoding.strip().lower()
    if media_type.strip().lower().startswith(_NO_TEXT):
        return NO_FIGURES
    if encoding not in {"", "identity"}:
        body, tail = _decoded(body, encoding), b""
    start = body.lstrip()[:16]  # blank lines are how some keep a connection alive until there is an answer
    if start[:1] == b"{":
        if not tail and len(body) <= _MAX_PARSED and isinstance(value := parsed(body), dict):
            return _of_answer(value)
        return _found(body, tail, is_stream=False)
    return _found(body, tail, is_stream=True) if _STREAM.match(start) else NO_FIGURES


def _decoded(body: bytes, encoding: str) -> bytes:
    """The beginning of what is encoded; empty if it cannot be decoded."""
    for bits in _WINDOW_BITS.get(encoding, ()):
        try:
            return zlib.decompressobj(bits).decompress(body, _MAX_DECODED)
        except zlib.error:
            continue
    return b""


def _of_answer(value: Mapping[str, Any]) -> Figures:
    usage = value.get("usage")
    read, written = tokens(usage) if isinstance(usage, dict) else (None, None)
    return Figures(_name(value.get("model")), read, written, _finish_reason(value))


def _finish_reason(value: Mapping[str, Any]) -> str | None:
    choices = value.get("choices")
    if isinstance(choices, list):
        first = choices[0] if choices else None
        return _name(first.get("finish_reason")) if isinstance(first, dict) else None
    if value.get("object") == "response":
        return _reason(value.get("incomplete_details")) or _name(value.get("status"))
    return _name(value.get("stop_reason"))


def tokens(usage: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Tokens read and written, by OpenAI's older or newer names, or Anthropic's.

    Those read include what came from a cache or went into it, as OpenAI counts them. Anthropic counts them
    apart.
    """
    read = count(usage.get("prompt_tokens"))
    if read is None and (read := count(usage.get("input_tokens"))) is not None:
        read += count(usage.get("cache_read_input_tokens")) or 0
        read += count(usage.get("cache_creation_input_tokens")) or 0
    written = count(usage.get("completion_tokens"))
    return read, count(usage.get("output_tokens")) if written is None else written


def _name(value: object) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    return value[:_MAX_NAME].encode(errors="replace").decode()  # half a surrogate pair cannot be written


def _reason(details: object) -> str | None:
    return _name(details.get("reason")) if isinstance(details, dict) else None


def _found(body: bytes, tail: bytes, *, is_stream: bool) -> Figures:
    """The figures by the names that they stand under: the first model, the last of all else."""
    start, end = body[:_END], tail or body[-_END:]
    model = next((name for part in (body, tail) for name in _names(part, b"model", first=True)), None)
    # Anthropic's streams say at their beginning what was read, and at their end what was written.
    counts = (_usage(end, first=False), _usage(start, first=True))
    read, written = (
        next((number for number in each if number is not None), None) for each in zip(*counts, strict=True)
    )
    if is_stream and b'"message_start"' in start and b'"message_delta"' not in end:
        written = None  # what they begin with is the place of a count, and none
    reason = _last_reason(end) or _last_reason(start) or _last_words(body, tail, is_stream=is_stream)
    return Figures(model, read, written, reason, is_stream and _has_error(end, reason))


def _has_error(end: bytes, reason: str | None) -> bool:
    return reason in _FAILURES or (b"error" in end and _ERROR.search(end) is not None)


def _usage(text: bytes, *, first: bool) -> tuple[int | None, int | None]:
    for usage in _values(text, b"usage", first=first):
        if isinstance(usage, dict) and (counts := tokens(usage)) != (None, None):
            return counts
    return None, None


def _last_reason(text: bytes) -> str | None:
    for name in (b"finish_reason", b"stop_reason"):
        if reason := next(_names(text, name, first=False), None):
            return reason
    details = _values(text, b"incomplete_details", first=False)
    return next((reason for value in details if (reason := _reason(value))), None)


def _last_words(body: bytes, tail: bytes, *, is_stream: bool) -> str | None:
    """How one of OpenAI's Responses ended: by the name of its last event, or its status."""
    if is_stream:
        marks = ((end, b'"response.%b"' % end.encode()) for end in _ENDS)
        return next((end for end, mark in marks if mark in tail or mark in body), None)
    is_response = next(_names(body, b"object", first=True), None) == "response"
    return next(_names(body, b"status", first=True), None) if is_response else None


def _names(text: bytes, name: bytes, *, first: bool) -> Iterator[str]:
    return (found for value in _values(text, name, first=first) if (found := _name(value)))


def _values(text: bytes, name: bytes, *, first: bool) -> Iterator[Any]:
    """The values of a name in JSON: texts and objects, from the first one on or from the last one back."""
    quoted = b'"%b"' % name
    position = -1 if first else len(text)
    for _ in range(_MAX_LOOKS):
        position = text.find(quoted, position + 1) if first else text.rfind(quoted, 0, position)
        if position < 0:
            return
        colon = _COLON.match(text, position + len(quoted))
        # In a string both quotes have a backslash: then it is somebody's words.
        if colon is None or text[position - 1 : position] == b"\\":
            continue
        if text[colon.end() : colon.end() + 1] not in {b"{", b'"'}:
            continue
        piece = text[colon.end() : colon.end() + _MAX_VALUE].decode(errors="replace")
        try:
            yield _DECODER.raw_decode(piece)[0]
        except (ValueError, RecursionError):
            continue
