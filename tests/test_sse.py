"""Events out of a stream of bytes, however it is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_fallback.sse import ServerSentEvent, SseParser

KEEP = 1000


def event(data: str, kind: str = "") -> ServerSentEvent:
    """An event."""
    return ServerSentEvent(kind, data)


def parse(*pieces: bytes, keep: int = KEEP) -> list[ServerSentEvent]:
    """The events of a stream that comes in these pieces, the one that its end cuts off included."""
    parser = SseParser(keep)
    events = [event for piece in pieces for event in parser.feed(piece)]
    last = parser.finish()
    return [*events, last] if last else events


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        pytest.param(b"data: a\n\n", [event("a")], id="one"),
        pytest.param(b"data:a\n\ndata: b\n\n", [event("a"), event("b")], id="two"),
        pytest.param(
            b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", [event("a"), event("b"), event("c")], id="ends"
        ),
        pytest.param(b"event: ping\ndata: {}\n\n", [event("{}", "ping")], id="typed"),
        pytest.param(b"event: ping\n\ndata: a\n\n", [event("a")], id="a-type-without-data-is-dropped"),
        pytest.param(b"data: a\ndata: b\n\n", [event("a\nb")], id="lines"),
        pytest.param(b"data\n\n", [event("")], id="no-colon"),
        pytest.param(b"data:  a\n\n", [event(" a")], id="one-space-is-taken-off"),
        pytest.param(b": keep-alive\n\n: b\n\n", [], id="comments"),
        pytest.param(b"id: 1\nretry: 5\nother: x\ndata: a\n\n", [event("a")], id="other-fields"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [event("a")], id="byte-order-mark"),
        pytest.param(b"data: \xff\n\n", [event("\ufffd")], id="not-utf-8"),
        pytest.param(b"data: a", [event("a")], id="cut-off"),
        pytest.param(b"data: a\n", [event("a")], id="without-blank-line"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_events(stream: bytes, events: list[ServerSentEvent]) -> None:
    """As browsers read them, except that the stream's end ends the last one."""
    assert parse(stream) == events


ALPHABET = st.lists(
    st.sampled_from(
        [b"data: a", b"event: x", b": c", b"\n", b"\r", b"\r\n", b"\n\n", b"\xef\xbb\xbf", b"data"]
    ),
    max_size=12,
).map(b"".join)


@given(ALPHABET, st.data())
def test_any_split_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    """Even between the two bytes of a line's end."""
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]

    assert parse(*pieces) == parse(stream)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_no_more_is_kept_than_allowed(size: int) -> None:
    """The events after a long one are there nevertheless."""
    stream = b"data: " + b"x" * 100 + b"\ndata: " + b"y" * 100 + b"\n\n: " + b"z" * 100 + b"\n\ndata: b\n\n"
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]

    long, short = parse(*pieces, keep=50)

    assert (long.data.startswith("x" * 40), len(long.data) <= 51, short) == (True, True, event("b"))


def test_empty_lines_of_data_are_bounded_too() -> None:
    """Each is a line's end in the event's data."""
    (event,) = SseParser(10).feed(b"data\n" * 1000 + b"\n")

    assert len(event.data) <= 10
