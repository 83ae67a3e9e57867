"""Answers in one piece as text to read."""

import base64
import json
from typing import Any

import pytest

from llm_fallback.conversation import answer_text

CALL = {"id": "c1", "function": {"name": "f", "arguments": '{"a": 1}'}}
USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 45,
    "prompt_tokens_details": {"cached_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 12},
}


def shown(answer: object) -> list[str]:
    """The parts of an answer that is understood."""
    text = answer_text(json.dumps(answer).encode())
    assert text is not None
    return text.removesuffix("\n").split("\n\n")


def choice(finish: str | None = "stop", **fields: Any) -> dict[str, Any]:
    """A choice of a chat completion."""
    return {"message": {"role": "assistant", **fields}, "finish_reason": finish}


def test_a_chat() -> None:
    """Who answers, at what cost, why it ends, what it thinks, says and wants to have done."""
    answer = {
        "object": "chat.completion",
        "model": "qwen-max",
        "choices": [choice("tool_calls", content="Let me look.", reasoning_content="Hm.", tool_calls=[CALL])],
        "usage": USAGE,
    }
    assert shown(answer) == [
        "chat answer: qwen-max, 120 tokens in (100 of them from the cache), 45 out (12 thinking), tool_calls",
        "── assistant, thinking\nHm.",
        '── assistant\nLet me look.\n→ f [c1] {"a": 1}',
    ]


def test_several_choices() -> None:
    """Each has its own end."""
    answer = {"model": "m", "choices": [choice(content="A"), choice("length", content="B")]}
    assert shown(answer) == [
        "chat answer: m",
        "── assistant, choice 1 of 2, stop\nA",
        "── assistant, choice 2 of 2, length\nB",
    ]


def test_completion() -> None:
    """What a completion says is nobody's message."""
    answer = {"model": "m", "choices": [{"text": " upon a time", "finish_reason": "length"}]}
    assert shown(answer) == ["completion answer: m, length", "── completion\n upon a time"]


def test_messages_of_anthropic() -> None:
    """Cached tokens are counted beside the others."""
    answer = {
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [
            {"type": "text", "text": "Hi"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        ],
        "stop_reason": "tool_use",
        "usage": {
            "input_tokens": 5,
            "output_tokens": 2,
            "cache_read_input_tokens": 90,
            "cache_creation_input_tokens": 7,
        },
    }
    assert shown(answer) == [
        "messages answer: claude, 102 tokens in (90 of them from the cache, 7 into it), 2 out, tool_use",
        "── assistant\nHi\n→ f [t] {}",
    ]


def test_responses() -> None:
    """All of the output in its order."""
    answer = {
        "object": "response",
        "model": "gpt-5",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [
            {"type": "reasoning", "summary": [], "encrypted_content": "A" * 400},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
            {"type": "web_search_call", "id": "w", "status": "completed"},
        ],
    }
    assert shown(answer) == [
        "responses answer: gpt-5, incomplete: max_output_tokens",
        "── assistant, thinking\n[encrypted, 300 B]",
        '── assistant\nHi\n[web_search_call] {"status": "completed"}',
    ]


@pytest.mark.parametrize(
    ("vectors", "line"),
    [
        pytest.param([[0.1] * 8] * 2, "2 embeddings x 8 dimensions", id="numbers"),
        pytest.param([base64.b64encode(b"1234" * 8).decode()], "1 embedding x 8 dimensions", id="base64"),
    ],
)
def test_embeddings(vectors: list[object], line: str) -> None:
    """How many there are, and how long they are."""
    data = [{"object": "embedding", "embedding": vector} for vector in vectors]
    answer = {"object": "list", "model": "e", "data": data, "usage": {"prompt_tokens": 8, "total_tokens": 8}}
    assert shown(answer) == ["embeddings answer: e, 8 tokens in", line]


@pytest.mark.parametrize(
    ("answer", "block"),
    [
        pytest.param(
            {
                "error": {"message": "Slow down", "type": "rate_limit", "code": "r1", "param": None},
                "request_id": "q",
            },
            "── error: rate_limit, request_id q, code r1\nSlow down",
            id="openai",
        ),
        pytest.param(
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            "── error: overloaded_error\nOverloaded",
            id="anthropic",
        ),
        pytest.param({"error": "no such model"}, "── error\nno such model", id="text"),
        pytest.param({"object": "error", "message": "bad", "code": 400}, "── error: 400\nbad", id="vllm"),
        pytest.param(
            {"code": "Throttling", "message": "later"}, "── error: Throttling\nlater", id="dashscope"
        ),
        pytest.param(
            [{"error": {"code": 429, "message": "m", "status": "EXHAUSTED"}}],
            "── error: 429, status EXHAUSTED\nm",
            id="wrapped",
        ),
        pytest.param(
            {"error": {"reason": {"api_key": "s3cret"}}},
            '── error: reason {"api_key": "[redacted]"}',
            id="without-a-message",
        ),
    ],
)
def test_errors(answer: object, block: str) -> None:
    """As they are told, whatever their shape."""
    assert shown(answer) == [block]


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        pytest.param({"content": ""}, "[nothing]", id="empty"),
        pytest.param({"content": None, "refusal": "No."}, "[refuses] No.", id="refusal"),
        pytest.param({"audio": {"data": "A" * 400, "transcript": "Hi"}}, "[audio, 300 B] Hi", id="audio"),
        pytest.param({"content": "a\ud800b"}, "a?b", id="half-a-character"),
    ],
)
def test_messages(message: dict[str, Any], lines: str) -> None:
    """What an answer may hold beside text."""
    assert shown({"model": "m", "choices": [choice(**message)]})[1] == f"── assistant\n{lines}"


def test_nothing_said() -> None:
    """An answer without choices is one all the same."""
    assert shown({"object": "chat.completion", "choices": []}) == ["chat answer: it says nothing of itself"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"upstream connect error", id="no-json"),
        pytest.param(b'{"choices": ["red", "blue"]}', id="choices-of-another-api"),
        pytest.param(b'{"choices": []}', id="no-choices"),
        pytest.param(b'{"object": "list", "data": [{"id": "model-1"}]}', id="models"),
        pytest.param(b'{"message": "hello"}', id="a-message"),
        pytest.param(b'{"error": null}', id="no-error"),
        pytest.param(b'{"choices": [{"message": {"content": "cut', id="cut"),
    ],
)
def test_not_ours(body: bytes) -> None:
    """What only looks similar is left to other views."""
    assert answer_text(body) is None
