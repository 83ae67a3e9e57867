"""Streams as text to read."""

from collections.abc import Sequence

import pytest

from llm_fallback.conversation import Arrivals, stream_text
from tests.conversation.chunks import CHAT, MESSAGES, RESPONSES, call, delta, sse

UNFINISHED = "[the stream ends here, unfinished]"
IN_AN_EVENT = "[the stream ends here, unfinished, in the middle of an event]"


def shown(events: Sequence[bytes], arrivals: Arrivals | None = None, left_out: int = 0) -> list[str]:
    """The parts of a stream that is understood."""
    text = stream_text(b"".join(events), arrivals or Arrivals(), left_out)
    assert text is not None
    return text.removesuffix("\n").split("\n\n")


@pytest.mark.parametrize(
    ("events", "summary", "says"),
    [
        pytest.param(
            CHAT,
            "chat answer: qwen-max, 10 tokens in, 20 out, tool_calls",
            "look — 你好.\n→ f [c1]",
            id="chat",
        ),
        pytest.param(
            MESSAGES,
            "messages answer: claude, 10 tokens in, 20 out, tool_use",
            "look.\n→ f [t1]",
            id="messages",
        ),
        pytest.param(
            RESPONSES,
            "responses answer: gpt-5, 10 tokens in, 20 out, completed",
            "look.\n→ f [c1]",
            id="responses",
        ),
    ],
)
def test_whole(events: list[bytes], summary: str, says: str) -> None:
    """A stream reads as the answer in one piece does."""
    assert shown(events) == [
        f"{summary}\n{len(events)} events",
        "── assistant, thinking\nHm.",
        f'── assistant\nLet me {says} {{"a": 1}}',
    ]


@pytest.mark.parametrize("events", [CHAT, MESSAGES, RESPONSES], ids=["chat", "messages", "responses"])
def test_unfinished(events: list[bytes]) -> None:
    """A stream that breaks off shows what was there, and says so."""
    at = next(n for n, event in enumerate(events) if b"Let me " in event)
    assert shown(events[: at + 1])[-2:] == ["── assistant\nLet me", UNFINISHED]
    half = events[at + 1][:-20]
    assert shown([*events[: at + 1], half])[-2:] == ["── assistant\nLet me", IN_AN_EVENT]


def test_what_was_written_is_counted_at_the_end() -> None:
    """A stream of messages begins with the place of that count, which is none."""
    [summary, *_] = shown(MESSAGES[:9], Arrivals(((1.0, 200), (3.0, len(b"".join(MESSAGES[:9]))))))
    assert summary.startswith("messages answer: claude, 10 tokens in\n")
    assert "tokens/s" not in summary


def test_completion() -> None:
    """Completions stream their text without roles; the reason to end is enough of an end."""
    events = sse({"choices": [{"text": "Once"}]}, {"choices": [{"text": " upon", "finish_reason": "length"}]})
    assert shown(events) == ["completion answer: length\n2 events", "── completion\nOnce upon"]


def test_several_choices() -> None:
    """Choices come mixed, and each has to end."""
    events = sse(delta(content="A"), delta(index=1, content="B"), delta("stop", index=1), delta(content="a"))
    assert shown(events) == [
        "chat answer: qwen-max\n4 events",
        "── assistant, choice 1 of 2\nAa",
        "── assistant, choice 2 of 2, stop\nB",
        UNFINISHED,
    ]


def test_calls() -> None:
    """Calls are told apart by their index, or by their id where all have the same index."""
    events = sse(
        call("{", id="a", name="f"),
        call("[", index=1, id="b", name="g"),
        call("}"),
        call("]", index=1),
        call("1", id="c", name="h"),
        call("2"),
        delta("tool_calls"),
    )
    assert shown(events)[1] == "── assistant\n→ f [a] {}\n→ g [b] []\n→ h [c] 12"


@pytest.mark.parametrize(
    ("event", "block"),
    [
        pytest.param(
            {"error": {"message": "Overloaded", "code": 503}}, "── error: 503\nOverloaded", id="openai"
        ),
        pytest.param(
            {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}},
            "── error: overloaded_error\nBusy",
            id="anthropic",
        ),
        pytest.param(
            {"type": "error", "code": None, "message": "Oops", "sequence_number": 3},
            "── error\nOops",
            id="responses",
        ),
        pytest.param({**delta("error"), "error": {"message": "Lost"}}, "── error\nLost", id="beside-choices"),
        pytest.param(
            {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "Oops"}}},
            "── error: server_error\nOops",
            id="failed",
        ),
    ],
)
def test_error_in_the_middle(event: object, block: str) -> None:
    """What was said stands, then the error; that the stream ends here needs no words."""
    assert shown([*sse(delta(content="Hi")), *sse(event)])[1:] == ["── assistant\nHi", block]


def test_error_alone() -> None:
    """A stream can begin with its error."""
    events = [b'event: error\ndata: {"code": "Throttling", "message": "later"}\n\n']
    assert shown(events) == ["1 event", "── error: Throttling\nlater"]


def test_strange_events() -> None:
    """Some of what is no JSON is quoted."""
    events = sse(delta(content="Hi"), "<html>", "oops", "what", "else", delta("stop"))
    assert shown(events)[2] == (
        "[event 2 is no JSON: <html>]\n[event 3 is no JSON: oops]\n[event 4 is no JSON: what]\n"
        "[and 1 more events that are no JSON]"
    )


def test_only_the_beginning_was_kept() -> None:
    """Then the stream's end is not known, and half an event is no defect."""
    events = [*sse(delta(content="Hi")), b'data: {"choi']
    assert shown(events, left_out=2_500_000) == [
        "chat answer: qwen-max\n1 event",
        "── assistant\nHi",
        "[only the beginning was kept: 2.5 MB more are not shown]",
    ]


def test_responses_without_deltas() -> None:
    """What only the last event tells is told."""
    item = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
    events = sse({"type": "response.completed", "response": {"status": "completed", "output": [item]}})
    assert shown(events) == ["responses answer: completed\n1 event", "── assistant\nHi"]


def test_items_that_have_no_deltas() -> None:
    """A search is done, or it is not."""
    item = {"type": "web_search_call", "status": "completed"}
    events = sse({"type": "response.output_item.done", "output_index": 0, "item": item})
    assert shown(events)[1] == '── assistant\n[web_search_call] {"status": "completed"}'


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b": keep-alive\n\n", id="comments"),
        pytest.param(b"data: hello\n\n", id="words"),
        pytest.param(b'data: {"price": 12}\n\n', id="another-api"),
        pytest.param(b'data: {"choices": [', id="cut-in-the-first-event"),
        pytest.param(b"\x00\xff" * 50, id="binary"),
    ],
)
def test_not_ours(body: bytes) -> None:
    """Other streams are left to other views."""
    assert stream_text(body) is None
