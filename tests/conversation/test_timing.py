"""How fast a stream came."""

from collections.abc import Sequence

import pytest

from llm_fallback.conversation import Arrivals, stream_text
from tests.conversation.chunks import CHAT, delta, sse


def timing(events: Sequence[bytes], arrivals: Arrivals) -> str:
    """The line about times."""
    text = stream_text(b"".join(events), arrivals)
    assert text is not None
    return text.split("\n")[1]


def one_by_one(events: Sequence[bytes], times: Sequence[float]) -> tuple[tuple[float, int], ...]:
    """When each event came."""
    return tuple((at, len(b"".join(events[: n + 1]))) for n, at in enumerate(times))


WORDS = sse(
    delta(role="assistant"), delta(content="a"), delta(content="b"), delta(content="c"), delta("stop"),
    {"choices": [], "usage": {"completion_tokens": 60}},
)  # fmt: skip


def test_figures() -> None:
    """Tokens count from the first to the last, and roles and figures are none."""
    pieces = one_by_one(WORDS, [0.1, 0.5, 0.75, 2.0, 2.25, 2.5])
    assert timing(WORDS, Arrivals(pieces)) == (
        "first token after 0.50 s, 40 tokens/s, 2.5 s in all, 6 events, longest gap 1.2 s"
    )


@pytest.mark.parametrize(
    ("arrivals", "line"),
    [
        pytest.param(Arrivals(), "6 events", id="nothing-known"),
        pytest.param(
            Arrivals((), 0.25, 3.0), "first byte after 0.25 s, 3.0 s in all, 6 events", id="ends-known"
        ),
        pytest.param(
            Arrivals(((1.5, 10_000),)), "first token after 1.5 s, 1.5 s in all, 6 events", id="all-at-once"
        ),
        pytest.param(
            Arrivals(((0.5, 10), (1.0, 10_000)), None, 4.0),
            "first token after 1.0 s, 4.0 s in all, 6 events",
            id="in-pieces",
        ),
        pytest.param(Arrivals(((0.5, 0),)), "0.50 s in all, 6 events", id="of-another-body"),
        pytest.param(
            Arrivals(((2.0, 5000), (1.0, 100))),
            "first token after 2.0 s, 2.0 s in all, 6 events",
            id="backwards",
        ),
    ],
)
def test_as_far_as_known(arrivals: Arrivals, line: str) -> None:
    """What is not known is not said, and what cannot be true does no harm."""
    assert timing(WORDS, arrivals) == line


def test_an_event_is_there_when_its_last_byte_is() -> None:
    """However it is cut into pieces."""
    cut = len(WORDS[0]) + len(WORDS[1]) - 1
    arrivals = Arrivals(((0.25, cut), (0.75, cut + 1), (1.75, 10_000)))
    assert timing(WORDS, arrivals).startswith("first token after 0.75 s, 60 tokens/s, 1.8 s in all")


def test_more_pieces_than_are_remembered() -> None:
    """Of a long answer the times of the first pieces are kept, and when it was over."""
    arrivals = Arrivals(one_by_one(WORDS, [0.1, 0.5, 0.75]), None, 3.5)
    assert timing(WORDS, arrivals) == (
        "first token after 0.50 s, 20 tokens/s, 3.5 s in all, 6 events, longest gap 0.25 s"
    )


def test_bytes_that_are_not_shown() -> None:
    """The whole answer's time counts, though only its beginning was kept."""
    body = b"".join(CHAT[:5])
    arrivals = Arrivals(((0.5, len(body)), (9.0, 2 * len(body))))
    text = stream_text(body, arrivals, left_out=len(body))
    assert text is not None
    assert "9.0 s in all" in text
