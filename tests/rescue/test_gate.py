"""Whether an answer is one: by provider's format, by hold, and whatever its pieces are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.rescue import gate as gates
from llm_fallback.rescue.gate import AnswerGate, Verdict
from llm_fallback.resources.llmfallbackpolicy import Hold

SSE, JSON = "text/event-stream; charset=utf-8", "application/json"
FIRST, WHOLE = Hold.FIRST_CONTENT, Hold.WHOLE_ANSWER
PENDING, GOOD, ERROR, EMPTY, INVALID, CUT = Verdict


def sse(*values: object) -> bytes:
    """A stream of events; a text is as it is."""
    return b"".join(
        b"data: " + (value if isinstance(value, str) else json.dumps(value)).encode() + b"\n\n"
        for value in values
    )


def chunk(finish: str | None = None, **delta: object) -> dict[str, object]:
    """A chunk of a chat completion."""
    return {"choices": [{"delta": delta, "finish_reason": finish}]}


def call(arguments: str) -> dict[str, object]:
    """A piece of a tool call."""
    return chunk(tool_calls=[{"index": 0, "function": {"arguments": arguments}}])


ROLE, HI, STOP, DONE = chunk(role="assistant"), chunk(content="Hi"), chunk("stop"), "[DONE]"
FAILED = {"error": {"message": "m"}}
START, STOPPED = {"type": "message_start"}, {"type": "message_stop"}
TEXT = {"type": "content_block_delta", "delta": {"text": "Hi"}}
CREATED = {"type": "response.created"}
COMPLETED = {"type": "response.completed", "response": {"output": [{}]}}
OUTPUT = {"type": "response.output_text.delta", "delta": "Hi"}


def judged(
    media: str,
    body: bytes,
    hold: Hold,
    *pieces: int,
    is_cut: bool = False,
    ignored: frozenset[Verdict] = frozenset(),
) -> Verdict:
    """What is known after all of the body, in pieces that begin at these places, and its end."""
    gate = AnswerGate(media, hold, ignored)
    places = sorted(pieces)
    for start, end in zip([0, *places], [*places, len(body)], strict=True):
        if body[start:end] and (verdict := gate.feed(body[start:end])) is not PENDING:
            return verdict
    return gate.end(is_cut=is_cut)


CASES = [
    pytest.param(sse(ROLE, HI, STOP, DONE), GOOD, GOOD, id="chat"),
    pytest.param(sse(ROLE, HI, STOP), GOOD, GOOD, id="chat-without-done"),
    pytest.param(sse(ROLE, HI), GOOD, CUT, id="chat-without-end"),
    pytest.param(sse(ROLE, HI, DONE), GOOD, GOOD, id="done-is-an-end"),
    pytest.param(sse(chunk("stop", content="Hi")), GOOD, GOOD, id="all-in-one-chunk"),
    pytest.param(sse(ROLE, STOP, DONE), EMPTY, EMPTY, id="empty"),
    pytest.param(sse(chunk("content_filter"), DONE), GOOD, GOOD, id="filtered"),
    pytest.param(sse(ROLE), CUT, CUT, id="role-only"),
    pytest.param(b": keep-alive\n\n" * 3, CUT, CUT, id="comments-only"),
    pytest.param(b"", CUT, CUT, id="nothing"),
    pytest.param(sse(FAILED), ERROR, ERROR, id="error"),
    pytest.param(sse(ROLE, FAILED), ERROR, ERROR, id="error-after-role"),
    pytest.param(sse(HI, FAILED), GOOD, ERROR, id="error-after-content"),
    pytest.param(sse("<html>"), INVALID, INVALID, id="invalid"),
    pytest.param(sse(HI, STOP)[:-5], GOOD, CUT, id="cut-in-an-event"),
    pytest.param(sse(ROLE, HI, STOP, DONE)[:-2], GOOD, GOOD, id="done-without-blank-line"),
    pytest.param(sse(call('{"a":'), call(" 1}"), STOP, DONE), GOOD, GOOD, id="tool-call"),
    pytest.param(sse(call('{"a":'), STOP, DONE), GOOD, CUT, id="broken-tool-call"),
    pytest.param(sse(START, TEXT, STOPPED), GOOD, GOOD, id="anthropic"),
    pytest.param(sse(START, TEXT), GOOD, CUT, id="anthropic-without-end"),
    pytest.param(sse(START, STOPPED), EMPTY, EMPTY, id="anthropic-empty"),
    pytest.param(b"event: error\n" + sse({"type": "error"}), ERROR, ERROR, id="anthropic-error"),
    pytest.param(sse(CREATED, OUTPUT, COMPLETED), GOOD, GOOD, id="responses"),
    pytest.param(sse(CREATED, COMPLETED), GOOD, GOOD, id="responses-at-once"),
    pytest.param(sse(CREATED, OUTPUT), GOOD, CUT, id="responses-without-end"),
    pytest.param(sse({"object": "error", "message": "m"}), ERROR, ERROR, id="vllm"),
]


@pytest.mark.parametrize(("body", "first", "whole"), CASES)
def test_streams(body: bytes, first: Verdict, whole: Verdict) -> None:
    """Until the first content, and as a whole."""
    assert (judged(SSE, body, FIRST), judged(SSE, body, WHOLE)) == (first, whole)


@given(st.sampled_from([case.values[0] for case in CASES]), st.sampled_from(Hold), st.data())
def test_any_pieces_give_the_same_verdict(body: bytes, hold: Hold, data: st.DataObject) -> None:
    """A network cuts where it likes."""
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=5))

    assert judged(SSE, body, hold, *places) is judged(SSE, body, hold)
    assert judged(JSON, body, hold, *places) is judged(JSON, body, hold)


@pytest.mark.parametrize(
    ("media", "body", "verdict"),
    [
        pytest.param(JSON, b'{"choices": [{"message": {"content": "Hi"}}]}', GOOD, id="content"),
        pytest.param(JSON, b'{"choices": [{"message": {"content": ""}}]}', EMPTY, id="empty"),
        pytest.param("application/problem+json", b'{"error": "m"}', ERROR, id="error"),
        pytest.param("Application/JSON;charset=utf-8", b"<html>", INVALID, id="invalid"),
        pytest.param("text/html", b"<html>", GOOD, id="html"),
        pytest.param("application/x-ndjson", b'{"error": "m"}\n', GOOD, id="json-lines-are-not-read"),
        pytest.param("", b"?", GOOD, id="no-type"),
        pytest.param("", b"", GOOD, id="no-body"),
    ],
)
def test_answers_in_one_piece(media: str, body: bytes, verdict: Verdict) -> None:
    """Only JSON is judged; hold makes no difference."""
    assert [judged(media, body, hold) for hold in Hold] == [verdict, verdict]


@pytest.mark.parametrize(
    ("arguments", "verdict"), [('{"a": 1}', GOOD), ("", GOOD), ('{"a"', CUT)], ids=["json", "none", "broken"]
)
def test_tool_calls_in_one_piece(arguments: str, verdict: Verdict) -> None:
    """Are looked at only in answers that are held whole, as in streams."""
    function = {"name": "f", "arguments": arguments}
    body = json.dumps({"choices": [{"message": {"tool_calls": [{"function": function}]}}]}).encode()

    assert (judged(JSON, body, FIRST), judged(JSON, body, WHOLE)) == (GOOD, verdict)
    assert judged(JSON, body, WHOLE, ignored=frozenset({CUT})) is GOOD


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(b'{"error": "m"}', '{"error": "m"}', id="short"),
        pytest.param(b'\xef\xbb\xbf{"error": "m"}', '{"error": "m"}', id="byte-order-mark"),
        pytest.param(json.dumps({"error": "m" * gates.MAX_ERROR_BYTES}).encode(), "", id="too-long"),
        pytest.param(b'{"error": "\xed\xa0\x80"}', '{"error": "\ufffd\ufffd\ufffd"}', id="half-a-pair"),
    ],
)
def test_what_an_error_said(body: bytes, error: str) -> None:
    """Text that can be sent, or nothing."""
    gate = AnswerGate(JSON, FIRST)
    gate.feed(body)

    assert (gate.end(is_cut=False), gate.error) == (ERROR, error)
    assert json.loads(gate.error or "{}") == json.loads(error or "{}")
    gate.error.encode()


@pytest.mark.parametrize("media", [SSE, JSON, "text/html"])
def test_a_cut_before_anything(media: str) -> None:
    """Of whatever type: nobody has seen anything."""
    assert judged(media, b"", FIRST, is_cut=True) is CUT


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        pytest.param(sse(FAILED), ERROR, id="error"),
        pytest.param(sse(STOP, DONE), EMPTY, id="empty"),
        pytest.param(sse("?"), INVALID, id="invalid"),
        pytest.param(sse(ROLE), CUT, id="cut"),
    ],
)
def test_what_the_policy_lets_through(body: bytes, verdict: Verdict) -> None:
    """Is as good as any."""
    assert judged(SSE, body, FIRST, ignored=frozenset({verdict})) is GOOD


def test_nothing_is_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too large is let through."""
    monkeypatch.setattr(gates, "MAX_HELD_BYTES", 10)
    sizes = [AnswerGate(media, WHOLE).feed(b": 23456789\n") for media in (SSE, JSON)]

    assert sizes == [GOOD, GOOD]


@pytest.mark.parametrize(
    ("piece", "progress"),
    [
        pytest.param(sse(HI), True, id="content"),
        pytest.param(sse(DONE), True, id="end"),
        pytest.param(sse(ROLE), False, id="role"),
        pytest.param(b": keep-alive\n\n", False, id="comment"),
        pytest.param(b"event: ping\n" + sse({"type": "ping"}), False, id="ping"),
        pytest.param(b"data: {", False, id="half"),
        pytest.param(b"", False, id="nothing"),
        pytest.param(b"data: {" + b"x" * 100_000 + b"\n\n", True, id="large"),
    ],
)
def test_progress(piece: bytes, *, progress: bool) -> None:
    """Signs of life are none, before the answer is let through and after."""
    held, followed = AnswerGate(SSE, WHOLE), AnswerGate(SSE, FIRST)
    held.feed(piece)

    assert (held.has_progressed, followed.follow(piece)) == (progress, progress)
    assert AnswerGate("text/html", FIRST).follow(piece) is bool(piece)
