"""What events and answers say."""

import json
from typing import Any

import pytest

from llm_fallback.completions import (
    Said,
    broken_tool_call,
    of_answer,
    of_event,
    tool_call_arguments,
    tool_call_pieces,
)
from llm_fallback.sse import ServerSentEvent

NOTHING, CONTENT, STOP, END, ERROR, INVALID = (
    Said.NOTHING, Said.CONTENT, Said.STOP, Said.END, Said.ERROR, Said.INVALID,
)  # fmt: skip


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk of a chat completion."""
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


CALL = {"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param(delta(role="assistant", content=""), NOTHING, id="role"),
        pytest.param(delta(), NOTHING, id="empty-delta"),
        pytest.param(delta(content="Hi"), CONTENT, id="content"),
        pytest.param(delta(content=None, reasoning_content="hm"), CONTENT, id="reasoning-content"),
        pytest.param(delta(reasoning="hm"), CONTENT, id="reasoning"),
        pytest.param(delta(refusal="no"), CONTENT, id="refusal"),
        pytest.param(delta(tool_calls=[CALL]), CONTENT, id="tool-call"),
        pytest.param(delta("stop"), STOP, id="stop"),
        pytest.param(delta("stop", content="Hi"), CONTENT | STOP, id="content-and-stop"),
        pytest.param(delta("content_filter"), CONTENT | STOP, id="filtered"),
        pytest.param(delta("error"), ERROR, id="finished-by-an-error"),
        pytest.param({"choices": [{"text": "Hi"}]}, CONTENT, id="completions"),
        pytest.param({"choices": []}, NOTHING, id="no-choices"),
        pytest.param({"choices": ["?"]}, CONTENT, id="strange-choices"),
        pytest.param({"choices": [], "usage": {"total_tokens": 3}}, NOTHING, id="usage"),
        pytest.param({"usage": {}}, NOTHING, id="usage-alone"),
        pytest.param({"error": {"message": "overloaded"}}, ERROR, id="error"),
        pytest.param({"error": "overloaded"}, ERROR, id="error-text"),
        pytest.param({"error": None, **delta(content="Hi")}, CONTENT, id="no-error"),
        pytest.param({"error": {"message": None}, **delta(content="Hi")}, CONTENT, id="empty-error"),
        pytest.param({"object": "error", "message": "m", "code": 400}, ERROR, id="vllm"),
        pytest.param({"type": "ping"}, NOTHING, id="ping"),
        pytest.param({"type": "message_start", "message": {"content": []}}, NOTHING, id="message-start"),
        pytest.param({"type": "content_block_start", "content_block": {"type": "text", "text": ""}}, NOTHING,
                     id="text-block"),
        pytest.param({"type": "content_block_start", "content_block": {"type": "tool_use"}}, CONTENT,
                     id="tool-block"),
        pytest.param({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}}, CONTENT,
                     id="text-delta"),
        pytest.param({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}},
                     CONTENT, id="thinking-delta"),
        pytest.param({"type": "content_block_delta", "delta": {"partial_json": ""}}, NOTHING, id="no-json"),
        pytest.param({"type": "content_block_stop"}, NOTHING, id="block-stop"),
        pytest.param({"type": "message_delta", "usage": {}}, NOTHING, id="message-delta"),
        pytest.param({"type": "message_stop"}, END, id="message-stop"),
        pytest.param({"type": "error", "error": {"type": "overloaded_error"}}, ERROR, id="anthropics-error"),
        pytest.param({"type": "response.created", "response": {"error": None}}, NOTHING, id="created"),
        pytest.param({"type": "response.output_item.added", "item": {}}, NOTHING, id="item-added"),
        pytest.param({"type": "response.output_text.delta", "delta": "Hi"}, CONTENT, id="output-text"),
        pytest.param({"type": "response.output_text.delta", "delta": ""}, NOTHING, id="no-output-text"),
        pytest.param({"type": "response.reasoning_summary_text.delta", "delta": "h"}, CONTENT, id="summary"),
        pytest.param({"type": "response.failed", "response": {}}, ERROR, id="response-failed"),
        pytest.param({"type": "response.completed", "response": {"output": []}}, END, id="completed-empty"),
        pytest.param({"type": "response.completed", "response": {"output": [{}]}}, END | CONTENT,
                     id="completed"),
        pytest.param({"type": "unheard_of"}, CONTENT, id="unknown-type"),
        pytest.param({"message": {"content": ""}, "done": False}, CONTENT, id="unknown-shape"),
        pytest.param([1], CONTENT, id="no-object"),
    ],
)  # fmt: skip
def test_of_event(value: object, said: Said) -> None:
    """Content is what a reader would see, or a program would act upon; what is unknown counts as such."""
    assert of_event(ServerSentEvent("", json.dumps(value))) == said


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        pytest.param("", "[DONE]", END, id="done"),
        pytest.param("", " [DONE] ", END, id="done-with-spaces"),
        pytest.param("error", '{"code": "Throttling"}', ERROR, id="by-its-type"),
        pytest.param("", "<html>", INVALID, id="no-json"),
        pytest.param("", '{"choices"', INVALID, id="half"),
        pytest.param("", "", INVALID, id="empty"),
        pytest.param("", "[" * 100_000, INVALID, id="too-deep"),
    ],
)
def test_of_plain_event(kind: str, data: str, said: Said) -> None:
    """The end has a form of its own, and errors may have a type."""
    assert of_event(ServerSentEvent(kind, data)) == said


def message(**fields: Any) -> dict[str, Any]:
    """A chat completion."""
    return {"choices": [{"message": {"role": "assistant", **fields}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(message(content="Hi"), CONTENT, id="content"),
        pytest.param(message(content=None, tool_calls=[CALL]), CONTENT, id="tool-call"),
        pytest.param(message(content=""), NOTHING, id="empty"),
        pytest.param(message(content=None), NOTHING, id="null"),
        pytest.param({"choices": []}, NOTHING, id="no-choices"),
        pytest.param({"choices": [{"text": "Hi"}]}, CONTENT, id="completions"),
        pytest.param({"error": {"message": "m"}}, ERROR, id="error"),
        pytest.param({"type": "error", "error": {"type": "overloaded_error"}}, ERROR, id="anthropics-error"),
        pytest.param({"object": "error", "message": "m"}, ERROR, id="vllm"),
        pytest.param({"type": "message", "content": []}, NOTHING, id="no-blocks"),
        pytest.param(
            {"type": "message", "content": [{"type": "text", "text": ""}]}, NOTHING, id="empty-block"
        ),
        pytest.param({"type": "message", "content": [{"type": "text", "text": "Hi"}]}, CONTENT, id="block"),
        pytest.param({"type": "message", "content": [{"type": "tool_use"}]}, CONTENT, id="tool-use"),
        pytest.param({"object": "response", "error": None, "output": [{}]}, CONTENT, id="response"),
        pytest.param({"object": "response", "output": []}, NOTHING, id="empty-response"),
        pytest.param({"object": "list", "data": []}, CONTENT, id="another-api"),
        pytest.param(
            {"error": {"code": None, "message": None}, "id": "job"}, CONTENT, id="a-job-without-error"
        ),
        pytest.param([], CONTENT, id="list"),
    ],
)
def test_of_answer(body: object, said: Said) -> None:
    """The same for answers in one piece, which have come to their end anyway."""
    assert of_answer(json.dumps(body).encode()) == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"<html>", INVALID, id="html"),
        pytest.param(b"", INVALID, id="nothing"),
        pytest.param(b"\n\n{}", CONTENT, id="keep-alive-lines"),
        pytest.param(b'{"done": false}\n{"done": true}\n', CONTENT, id="json-lines"),
        pytest.param(b'{"done": false}\n{"do', INVALID, id="cut-json-lines"),
        pytest.param(b"\xff\xfe\xfd", INVALID, id="bytes"),
    ],
)
def test_of_odd_answer(body: bytes, said: Said) -> None:
    """Ollama streams JSON by the line; some call that JSON."""
    assert of_answer(body) == said


def test_pieces_of_tool_calls() -> None:
    """Told apart by choice and index; Anthropic's by block, Responses' by item."""
    call = {"index": 1, "function": {"arguments": '{"a'}}
    chunk = {"choices": [{"index": 2, "delta": {"tool_calls": [call, "?"]}}, "?"]}
    block = {
        "type": "content_block_delta",
        "index": 3,
        "delta": {"type": "input_json_delta", "partial_json": "{"},
    }
    item = {"type": "response.function_call_arguments.delta", "item_id": "i", "delta": "}"}

    found = [tool_call_pieces(ServerSentEvent("", json.dumps(value))) for value in (chunk, block, item, [1])]

    assert found == [[("2/1", '{"a')], [("3", "{")], [("i", "}")], []]
    assert (broken_tool_call('{"a"'), broken_tool_call('{"a": 1}'), broken_tool_call(" ")) == (
        True,
        False,
        False,
    )


@pytest.mark.parametrize(
    ("value", "arguments"),
    [
        pytest.param(
            {"choices": [{"message": {"tool_calls": [{"function": {"arguments": '{"a'}}, "?"]}}, "?"]},
            ['{"a', ""],
            id="chat",
        ),
        pytest.param(
            {"output": [{"type": "message"}, {"type": "function_call", "arguments": "{}"}]},
            ["{}"],
            id="responses",
        ),
        pytest.param({"choices": [{"message": {"tool_calls": None}}]}, [], id="none"),
        pytest.param(
            {"choices": [{"message": {"tool_calls": [{"function": {"arguments": {}}}]}}]}, [""], id="no-text"
        ),
        pytest.param({"type": "message", "content": [{"type": "tool_use", "input": {}}]}, [], id="anthropic"),
        pytest.param(["?"], [], id="list"),
    ],
)
def test_arguments_of_tool_calls(value: object, arguments: list[str]) -> None:
    """All of them, of whatever call; odd ones are not broken."""
    assert tool_call_arguments(json.dumps(value).encode()) == arguments
