"""What answers say of themselves, whole, as streams, cut and broken."""

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.events import NO_FIGURES, Figures
from llm_fallback.figures import figures_of

JSON = "application/json"
SSE = "text/event-stream"
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "qwen-max-2025",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}
CHAT_FIGURES = Figures("qwen-max-2025", 11, 7, "stop")
COMPLETION = {**CHAT, "object": "text_completion", "choices": [{"text": "hello", "finish_reason": "length"}]}
EMBEDDINGS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "gpt-5",
    "output": [{"type": "message", "status": "completed", "content": [{"type": "output_text", "text": "a"}]}],
    "tools": [{"type": "function", "parameters": {"properties": {"model": {"type": "string"}}}}],
    "usage": {"input_tokens": 36, "output_tokens": 87, "total_tokens": 123},
}
CUT_SHORT = {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4",
    "content": [{"type": "tool_use", "name": "order", "input": {"model": "T-800", "stop_reason": "rain"}}],
    "stop_reason": "tool_use",
    "usage": {
        "input_tokens": 20,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 100,
        "output_tokens": 6,
    },
}
WHOLE = [
    pytest.param(CHAT, CHAT_FIGURES, id="chat"),
    pytest.param(COMPLETION, Figures("qwen-max-2025", 11, 7, "length"), id="completions"),
    pytest.param(EMBEDDINGS, Figures("text-embedding-3-small", 8, None, None), id="embeddings"),
    pytest.param(RESPONSE, Figures("gpt-5", 36, 87, "completed"), id="responses"),
    pytest.param(CUT_SHORT, Figures("gpt-5", 36, 87, "max_output_tokens"), id="responses-cut-short"),
    pytest.param(MESSAGE, Figures("claude-sonnet-4", 123, 6, "tool_use"), id="messages"),
]


def sse(*events: object) -> bytes:
    """A stream of these."""
    return b"".join(
        b"data: " + (e if isinstance(e, bytes) else json.dumps(e).encode()) + b"\n\n" for e in events
    )


def chunk(content: str | None, *, finish_reason: str | None = None) -> dict[str, object]:
    """An event of a chat completion."""
    delta = {} if content is None else {"content": content}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    return {"object": "chat.completion.chunk", "model": "gpt-4o", "choices": choices, "usage": None}


CHUNKS = sse(chunk("hel"), chunk("lo"))
END_OF_CHUNKS = sse(
    chunk(None, finish_reason="stop"),
    {"model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    b"[DONE]",
)
MESSAGE_START = sse(
    {
        "type": "message_start",
        "message": {
            "model": "claude",
            "stop_reason": None,
            "usage": {"input_tokens": 25, "output_tokens": 1},
        },
    }
)
TEXT_DELTA = sse({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hi"}})
MESSAGE_DELTA = sse(
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}}
)
RESPONSE_STREAM = sse(
    {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "usage": None}},
    {"type": "response.completed", "response": RESPONSE},
)
STREAMS = [
    pytest.param(CHUNKS + END_OF_CHUNKS, Figures("gpt-4o", 3, 2, "stop"), id="chat"),
    pytest.param(
        MESSAGE_START + TEXT_DELTA + MESSAGE_DELTA, Figures("claude", 25, 15, "end_turn"), id="messages"
    ),
    pytest.param(RESPONSE_STREAM, Figures("gpt-5", 36, 87, "completed"), id="responses"),
    pytest.param(
        sse({"type": "response.incomplete", "response": CUT_SHORT}),
        Figures("gpt-5", 36, 87, "max_output_tokens"),
        id="responses-cut-short",
    ),
    pytest.param(CHUNKS, Figures("gpt-4o"), id="cut"),
    pytest.param(MESSAGE_START + TEXT_DELTA, Figures("claude", 25), id="messages-cut"),
    pytest.param(
        MESSAGE_START + TEXT_DELTA + sse({"type": "error", "error": {"type": "overloaded_error"}}),
        Figures("claude", 25, has_error=True),
        id="messages-error",
    ),
    pytest.param(
        CHUNKS + sse({"error": {"message": "busy", "code": 502}}),
        Figures("gpt-4o", has_error=True),
        id="chat-error",
    ),
    pytest.param(
        CHUNKS + sse({**chunk("", finish_reason="error"), "error": {"code": 502}}),
        Figures("gpt-4o", None, None, "error", has_error=True),
        id="chat-error-in-a-chunk",
    ),
    pytest.param(
        CHUNKS + b"event: error\ndata: busy\n\n", Figures("gpt-4o", has_error=True), id="event-error"
    ),
    pytest.param(
        sse({"type": "response.failed", "response": {**RESPONSE, "status": "failed"}}),
        Figures("gpt-5", 36, 87, "failed", has_error=True),
        id="responses-error",
    ),
    pytest.param(
        sse(
            chunk('\\ndata: {"error": {}}\\n'),
            {"item": {"type": "mcp_call", "error": {"code": 1}}, "error": None},
        ),
        Figures("gpt-4o"),
        id="errors-of-others",
    ),
    pytest.param(
        sse({"usage": {"completion_tokens": 1}}, {"usage": {"prompt_tokens": 2, "completion_tokens": 5}}),
        Figures(None, 2, 5),
        id="the-last-usage-counts",
    ),
    pytest.param(
        sse(chunk('"model": "x", "usage": {"prompt_tokens": 9}, "finish_reason": "y"')),
        Figures("gpt-4o"),
        id="what-the-model-writes-is-not-taken-for-figures",
    ),
    pytest.param(b": OPENROUTER PROCESSING\n\n" + CHUNKS, Figures("gpt-4o"), id="comment-first"),
    pytest.param((CHUNKS + END_OF_CHUNKS)[:-60], Figures("gpt-4o", None, None, "stop"), id="cut-in-usage"),
]


@pytest.mark.parametrize(("answer", "figures"), WHOLE)
def test_answers(answer: object, figures: Figures) -> None:
    """Every API's own names are known, and what tools are called with is not taken for figures."""
    assert figures_of(JSON, json.dumps(answer).encode()) == figures


@pytest.mark.parametrize(("answer", "figures"), WHOLE)
def test_long_answers(answer: dict[str, object], figures: Figures) -> None:
    """An answer that is too long to be parsed says the same, however it is laid out."""
    long = {"padding": "x" * 200_000, **answer}

    assert figures_of(JSON, json.dumps(long).encode()) == figures
    assert figures_of(JSON, json.dumps(long, indent=1, separators=(",", " : ")).encode()) == figures


def test_middle_missing() -> None:
    """What is at the beginning and what is at the end is put together."""
    answer = json.dumps(CHAT).replace("hello", "hello " * 20_000).encode()

    assert figures_of(JSON, answer[:1000], answer[-1000:]) == CHAT_FIGURES
    assert figures_of(JSON, answer[:1000]) == Figures("qwen-max-2025")
    assert figures_of(SSE, MESSAGE_START + TEXT_DELTA, TEXT_DELTA * 9 + MESSAGE_DELTA) == Figures(
        "claude", 25, 15, "end_turn"
    )


@pytest.mark.parametrize(("stream", "figures"), STREAMS)
def test_streams(stream: bytes, figures: Figures) -> None:
    """The last word counts, and a cut stream says what it has said."""
    assert figures_of(SSE, stream) == figures
    assert figures_of(f"{SSE}; charset=utf-8", stream.replace(b"\n", b"\r\n")) == figures
    assert figures_of(JSON, stream.replace(b": ", b":")) == figures, "a wrong media type does not matter"


def raw_deflate(body: bytes) -> bytes:
    """Deflate as some servers understand it: without zlib's header."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        pytest.param("gzip", gzip.compress(json.dumps(CHAT).encode()), id="gzip"),
        pytest.param(" GZIP ", gzip.compress(json.dumps(CHAT).encode()), id="case-and-space"),
        pytest.param("deflate", zlib.compress(json.dumps(CHAT).encode()), id="deflate"),
        pytest.param("deflate", raw_deflate(json.dumps(CHAT).encode()), id="deflate-without-header"),
        pytest.param("", json.dumps(CHAT).encode(), id="none"),
    ],
)
def test_encoded(encoding: str, encoded: bytes) -> None:
    """gzip and deflate are read."""
    assert figures_of(JSON, encoded, content_encoding=encoding) == CHAT_FIGURES


def test_cut_while_encoded() -> None:
    """What a cut encoded answer gives is read; its end is of no use without its middle."""
    encoded = gzip.compress(CHUNKS * 50 + END_OF_CHUNKS)

    assert figures_of(SSE, encoded[:-20], b"rest", content_encoding="gzip").model == "gpt-4o"


def test_decoding_is_bounded() -> None:
    """A small answer that decodes to a huge one is read at its beginning only."""
    bomb = gzip.compress(CHUNKS + b": " + b" " * 50_000_000 + b"\n\n" + END_OF_CHUNKS)

    assert figures_of(SSE, bomb, content_encoding="gzip") == Figures("gpt-4o")


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        pytest.param(JSON, b"", id="empty"),
        pytest.param(JSON, b"[1, 2]", id="list"),
        pytest.param(JSON, b"null", id="null"),
        pytest.param(JSON, b'{"model": 5, "usage": "much", "choices": "none"}', id="other-types"),
        pytest.param(JSON, b'{"choices": [], "usage": {"prompt_tokens": -1, "total": 3}}', id="below-zero"),
        pytest.param(JSON, b'{"choices": [7], "usage": {"prompt_tokens": true}}', id="true-is-no-number"),
        pytest.param(JSON, b'{"usage": {"prompt_tokens": ' + b"9" * 5000 + b"}}", id="no-number-at-all"),
        pytest.param(JSON, b'{"error": {"message": "no"}}', id="error"),
        pytest.param(JSON, b'{"usage": ' + b'{"a": ' * 50_000, id="deep"),
        pytest.param("text/html", b"<html>model</html>", id="html"),
        pytest.param("audio/mpeg", json.dumps(CHAT).encode(), id="audio"),
        pytest.param(SSE, b"data: [DONE]\n\n", id="nothing-but-the-end"),
    ],
)
def test_says_nothing(media_type: str, body: bytes) -> None:
    """What is no figure is none."""
    assert figures_of(media_type, body) == NO_FIGURES


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip"])
def test_not_decodable(encoding: str) -> None:
    """Another encoding, or a wrong one, gives nothing."""
    assert figures_of(JSON, json.dumps(CHAT).encode(), content_encoding=encoding) == NO_FIGURES


def test_long_names_are_cut() -> None:
    """A provider's words end up in logs, so that their length has a bound."""
    figures = figures_of(JSON, json.dumps({"model": "m" * 5000, "stop_reason": "r" * 5000}).encode())

    assert figures == Figures("m" * 200, None, None, "r" * 200)


def test_half_a_surrogate_pair() -> None:
    """What no text file can hold is replaced."""
    assert figures_of(JSON, rb'{"model": "a\ud800b"}') == Figures("a?b")


PIECES = st.lists(
    st.sampled_from(
        [
            *(
                b'"model"',
                b'"usage"',
                b'"finish_reason"',
                b'"stop_reason"',
                b'"incomplete_details"',
                b'"status"',
            ),
            *(
                b'"object":"response"',
                b":",
                b"{",
                b"}",
                b"[",
                b"]",
                b'"',
                b"\\",
                b'"prompt_tokens":3',
                b"null",
            ),
            *(
                b"data: ",
                b"event: x",
                b"\n",
                b"\n\n",
                b"\xff\xfe",
                b"\x00",
                b'"gpt"',
                b"1e999",
                b"\xef\xbb\xbf",
                b" ",
            ),
        ]
    )
    | st.binary(max_size=8),
    max_size=40,
).map(b"".join)


@given(
    st.sampled_from([JSON, SSE, "", "text/plain"]),
    st.sampled_from([b"{", b"data: {", b""]),
    PIECES,
    PIECES,
    st.sampled_from(["identity", "gzip", "deflate", "x"]),
)
def test_never_raises(media_type: str, start: bytes, body: bytes, tail: bytes, encoding: str) -> None:
    """Whatever an answer is, there are figures, and their values are of their types."""
    figures = figures_of(media_type, start + body, tail, content_encoding=encoding)

    assert isinstance(figures.model, str | None)
    assert isinstance(figures.finish_reason, str | None)
    assert all(count is None or count >= 0 for count in (figures.input_tokens, figures.output_tokens))


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.text(min_size=1, max_size=50), st.text())
def test_exact_and_found_agree(read: int, written: int, model: str, content: str) -> None:
    """An answer says the same in one piece and as the beginning and the end of a longer one."""
    answer = CHAT | {"model": model, "usage": {"prompt_tokens": read, "completion_tokens": written}}
    answer["choices"] = [{"message": {"content": content}, "finish_reason": "stop"}]
    body = json.dumps(answer, ensure_ascii=False).encode()

    assert figures_of(JSON, body) == Figures(model, read, written, "stop")
    assert figures_of(JSON, body, body) == Figures(model, read, written, "stop")


@given(st.integers(0, 3000))
def test_any_cut(length: int) -> None:
    """A cut stream says a part of what the whole one says, never anything else."""
    stream = MESSAGE_START + TEXT_DELTA + MESSAGE_DELTA
    cut = figures_of(SSE, stream[:length])

    assert cut.model in {None, "claude"}
    assert cut.input_tokens in {None, 25}
    assert cut.output_tokens in {None, 1, 15}
    assert cut.finish_reason in {None, "end_turn"}
