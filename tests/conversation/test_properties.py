"""Whatever comes is shown or left to others; what is shown of a part is part of what is shown of all."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.conversation import Arrivals, answer_text, request_text, stream_text
from llm_fallback.conversation.draft import Draft
from llm_fallback.conversation.pieces import Answer
from llm_fallback.conversation.streamed import take
from llm_fallback.sse import SseParser
from tests.conversation.chunks import CHAT, MESSAGES, RESPONSES, delta, sse

WORDS = st.sampled_from(
    [
        "choices", "message", "delta", "content", "messages", "role", "type", "text", "model", "input",
        "prompt", "tools", "function", "arguments", "name", "id", "index", "usage", "prompt_tokens", "error",
        "code", "output", "response", "item", "tool_calls", "image_url", "url", "source", "data",
        "embedding", "object", "list", "finish_reason", "summary", "reasoning", "thinking", "tool_use",
        "tool_result", "function_call", "message_start", "content_block_start", "content_block_delta",
        "message_delta", "content_block", "response.completed", "response.output_item.added",
        "response.output_item.done", "output_index",
        "response.output_text.delta", "partial_json", "parameters", "properties", "required", "stop_reason",
        "system", "instructions", "max_tokens", "stream", "response_format", "tool_choice", "audio", "images",
    ]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=30,
)
OBJECTS = st.dictionaries(WORDS, JSON, max_size=8)
TIMES = st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 10_000)), max_size=5).map(
    lambda pieces: Arrivals(tuple(pieces))
)


def assert_printable(text: str | None) -> None:
    """It is nothing, or a page that ends as pages do and can be written anywhere."""
    if text is not None:
        assert text.endswith("\n")
        assert text.encode()


@given(st.binary() | st.text().map(str.encode), TIMES)
def test_any_bytes(body: bytes, arrivals: Arrivals) -> None:
    """Nothing that anybody sends makes an error."""
    assert_printable(request_text(body))
    assert_printable(answer_text(body))
    assert_printable(stream_text(body, arrivals))


@given(OBJECTS, st.sampled_from(["/chat/completions", "/completions", "/embeddings", "/responses", ""]))
def test_any_json(value: dict[str, Any], path: str) -> None:
    """Nor does JSON of any shape."""
    body = json.dumps(value).encode()
    assert_printable(request_text(body, path))
    assert_printable(answer_text(body))


@given(JSON)
def test_any_content(content: object) -> None:
    """What is clearly a chat is shown, whatever its messages hold."""
    asked = {"messages": [{"role": "user", "content": content, "tool_calls": content}], "tools": content}
    answer = {"choices": [{"message": {"content": content, "tool_calls": content}}], "usage": content}
    for text in (request_text(json.dumps(asked).encode()), answer_text(json.dumps(answer).encode())):
        assert text
        assert_printable(text)


@given(st.lists(OBJECTS, max_size=6), TIMES)
def test_any_events(values: list[dict[str, Any]], arrivals: Arrivals) -> None:
    """Nor do events in any order."""
    assert_printable(stream_text(b"".join(sse(delta(content="Hi"), *values)), arrivals))


SEVERAL = sse(
    delta(content="A"), delta(index=1, content="B"), delta(content="a"), delta("stop"), delta("stop", 1)
)


@pytest.mark.parametrize(
    "events", [CHAT, MESSAGES, RESPONSES, SEVERAL], ids=["chat", "messages", "responses", "two"]
)
def test_any_cut(events: Sequence[bytes]) -> None:
    """What is known of a stream at any of its bytes only grows."""
    body = b"".join(events)
    before = answer_of(b"")
    for end in range(len(body) + 1):
        now = answer_of(body[:end])
        assert goes_on(before, now), end
        before = now
    assert answer_of(body) == before


def answer_of(body: bytes) -> Answer:
    """What the events of a stream make, one that is cut off included."""
    parser, draft = SseParser(keep=len(body)), Draft()
    for event in (*parser.feed(body), parser.finish()):
        if event:
            take(event, draft)
    return draft.answer()


def goes_on(earlier: Answer, later: Answer) -> bool:
    """Whether everything that was said is still said, and at most more of it."""
    return len(earlier.choices) <= len(later.choices) and all(
        len(old.pieces) <= len(new.pieces)
        and all(
            was.text == "" or now.text.startswith(was.text)
            for was, now in zip(old.pieces, new.pieces, strict=False)
        )
        for old, new in zip(earlier.choices, later.choices, strict=False)
    )
