"""Requests as text to read."""

import json
from typing import Any

import pytest

from llm_fallback.conversation import request_text

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 16_000}}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"properties": {"city": {}, "unit": {}}, "required": ["city"]},
    },
}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Bonn"}'},
}


def shown(asked: dict[str, Any], path: str = "") -> str:
    """The text of a request that is understood."""
    text = request_text(json.dumps(asked).encode(), path)
    assert text is not None
    return text


def blocks(*said: object, **fields: Any) -> list[str]:
    """What is below the first lines of a chat request."""
    return shown({"model": "m", "messages": said, **fields}).removesuffix("\n").split("\n\n")[1:]


def test_a_chat() -> None:
    """The whole page: a summary, the parameters, the tools, and everybody's words."""
    asked = {
        "model": "qwen-max",
        "stream": True,
        "temperature": 0.7,
        "stop": None,
        "response_format": {"type": "json_schema", "json_schema": {"name": "weather", "schema": {}}},
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "tools": [TOOL, {"type": "mcp", "server_label": "maps", "authorization": "s3cret"}],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "name": "Ada", "content": [{"type": "text", "text": "And here?"}, PICTURE]},
            {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "20 degrees"},
        ],
    }
    assert (
        shown(asked)
        == """\
chat request: qwen-max, streamed, 4 messages, 2 tools
temperature 0.7, response_format json_schema weather, tool_choice function get_weather

── tools
get_weather(city, unit?)
mcp maps

── system
Be brief.

── user, named Ada
And here?
[image, image/png, 12 kB]

── assistant, thinking
Hm.

── assistant
→ get_weather [call_1] {"city": "Bonn"}

── tool
← get_weather [call_1]
20 degrees
"""
    )


def test_messages_of_anthropic() -> None:
    """System is beside the messages, calls and results are among the content."""
    asked = {
        "model": "claude",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "Be nice.", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "f", "input_schema": {"properties": {"a": {}}, "required": ["a"]}}],
        "messages": [
            {"role": "user", "content": "Hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "A" * 300},
                    {"type": "text", "text": "Let me look."},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": "not found"},
                    {"type": "text", "text": "Go on"},
                ],
            },
        ],
    }
    assert (
        shown(asked)
        == """\
messages request: claude, 3 messages, 1 tool
max_tokens 100

── tools
f(a)

── system
Be nice.

── user
Hi

── assistant, thinking
Hm.

── assistant
Let me look.
→ f [t1] {"a": 1}

── user
← f [t1] failed
not found
Go on
"""
    )


def test_the_name_of_messages() -> None:
    """Is that of the answer; without a system prompt, the path decides."""
    asked = json.dumps({"model": "claude", "messages": [{"role": "user", "content": "Hi"}]}).encode()
    for path, name in {"/v1/messages?beta=true": "messages", "/v1/chat/completions": "chat"}.items():
        text = request_text(asked, path)
        assert text
        assert text.startswith(f"{name} request: claude, 1 message\n")


def test_responses() -> None:
    """Items are messages, calls, results and thoughts."""
    asked = {
        "model": "gpt-5",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "42"},
        ],
    }
    assert (
        shown(asked)
        == """\
responses request: gpt-5, 4 items

── system
Be brief.

── user
Hi

── assistant, thinking
Hm.

── assistant
→ f [c1] {}

── tool
← f [c1]
42
"""
    )


def test_completion() -> None:
    """A prompt is no message."""
    asked = {"model": "m", "prompt": ["Once", [1, 2, 3]], "max_tokens": 5, "suffix": "the end"}
    assert shown(asked).split("\n\n") == [
        "completion request: m, 2 prompts\nmax_tokens 5",
        "── prompt 1\nOnce",
        "── prompt 2\n[3 tokens]",
        "── suffix\nthe end\n",
    ]


def test_embeddings() -> None:
    """As many inputs as a person wants to see."""
    text = shown({"model": "e", "input": [f"text {n}" for n in range(25)]}, "/v1/embeddings?api-version=1")
    assert text.startswith("embeddings request: e, 25 inputs\n\n── input 1\ntext 0\n\n")
    assert text.endswith("── input 20\ntext 19\n\n[and 5 more]\n")


@pytest.mark.parametrize(
    ("part", "line"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param({"text": "without a type"}, "without a type", id="untyped"),
        pytest.param(PICTURE, "[image, image/png, 12 kB]", id="picture"),
        pytest.param(
            {"type": "image_url", "image_url": {"url": "https://a.test/b.png?sig=s3cret&w=1"}},
            "[image, https://a.test/b.png?sig=[redacted]&w=1]",
            id="picture-elsewhere",
        ),
        pytest.param(
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "A" * 4000}},
            "[image, image/jpeg, 3.0 kB]",
            id="anthropics-picture",
        ),
        pytest.param({"type": "input_image", "file_id": "file-1"}, "[image, file-1]", id="responses-picture"),
        pytest.param(
            {"type": "input_audio", "input_audio": {"data": "A" * 400, "format": "wav"}},
            "[audio, wav, 300 B]",
            id="audio",
        ),
        pytest.param(
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
            "[file, a.pdf, application/pdf, 3 B]",
            id="file",
        ),
        pytest.param(
            {
                "type": "document",
                "title": "T",
                "source": {"type": "text", "media_type": "text/plain", "data": "abc"},
            },
            "[document, T, text/plain, 3 B]",
            id="document",
        ),
        pytest.param({"type": "video", "video": ["a", "b"]}, "[video, 2 pictures]", id="video"),
        pytest.param({"type": "refusal", "refusal": "No."}, "[refuses] No.", id="refusal"),
        pytest.param(
            {"type": "newest", "id": "1", "x": {"api_key": "s3cret"}},
            '[newest] {"x": {"api_key": "[redacted]"}}',
            id="unknown",
        ),
        pytest.param(
            {"type": "newest", "blob": "A" * 4000}, '[newest] {"blob": "[3.0 kB]"}', id="unknown-data"
        ),
        pytest.param(
            {"type": "text", "text": "see ![](data:image/gif;base64,AAAAAAAA)!"},
            "see ![]([image/gif, 6 B])!",
            id="picture-in-text",
        ),
        pytest.param({"type": "text", "text": "── user"}, " ── user", id="forged-title"),
    ],
)
def test_parts(part: object, line: str) -> None:
    """Files are told by what they are; secrets and data are not shown."""
    assert blocks({"role": "user", "content": [part]}) == [f"── user\n{line}"]


@pytest.mark.parametrize(
    ("message", "block"),
    [
        pytest.param({"role": "user", "content": ""}, "── user\n[nothing]", id="empty"),
        pytest.param({"role": "user"}, "── user\n[nothing]", id="absent"),
        pytest.param({"role": "a\n── b", "content": "x"}, "── a ── b\nx", id="odd-role"),
        pytest.param({"role": "function", "name": "f", "content": "1"}, "── function\n← f\n1", id="function"),
        pytest.param(
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{"}},
            "── assistant\n→ f {",
            id="call",
        ),
    ],
)
def test_messages(message: dict[str, Any], block: str) -> None:
    """What is missing is said to be; arguments are shown as they are, broken ones too."""
    assert blocks(message) == [block]


def test_secrets_among_parameters() -> None:
    """A body may hold a key where none belongs."""
    text = shown(
        {"messages": [{"role": "user", "content": "x"}], "api_key": "s3cret", "metadata": {"Token": "s3cret"}}
    )
    assert text.splitlines()[1] == 'api_key [redacted], metadata {"Token": "[redacted]"}'


@pytest.mark.parametrize(
    ("body", "path"),
    [
        pytest.param(b"", "/v1/chat/completions", id="nothing"),
        pytest.param(b"not JSON", "/v1/chat/completions", id="no-json"),
        pytest.param(b"[1]", "/v1/chat/completions", id="no-object"),
        pytest.param(b"[" * 100_000, "", id="too-deep"),
        pytest.param(b'{"messages": [{"text": "hi"}]}', "", id="messages-of-another-api"),
        pytest.param(b'{"messages": []}', "", id="no-messages"),
        pytest.param(
            b'{"model": "tts-1", "input": "Hello", "voice": "alloy"}', "/v1/audio/speech", id="speech"
        ),
        pytest.param(
            b'{"model": "m", "prompt": "a cat", "size": "1x1"}', "/v1/images/generations", id="images"
        ),
        pytest.param(b'{"input": {"a": 1}, "tools": []}', "", id="input-of-another-api"),
        pytest.param(b'{"input": [{"id": 1}]}', "", id="items-of-another-api"),
    ],
)
def test_not_ours(body: bytes, path: str) -> None:
    """What only looks similar is left to other views."""
    assert request_text(body, path) is None
