"""One request that was saved, and variations of it."""

from dataclasses import replace
from typing import Any

from llm_fallback.events import Answer, Attempted, Ejected, Figures, Handled, Received, Rescued

AT = 1_700_000_000.25
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LOST = Attempted(
    "a.com:80",
    "10.0.0.1:443",
    "503",
    0.05,
    status=503,
    began_s=0.001,
    lost_after_s=0.0625,
    model="qwen-turbo",
    figures=Figures(input_tokens=4),
)
ANSWERED = Attempted("b.com:80", "10.0.0.2:443", "200", 0.2, status=200, began_s=0.0635, model="qwen-max")
RECEIVED = Received(
    AT,
    "http",
    "/v1/chat/completions?key=[redacted]",
    120,
    "127.0.0.1:50000",
    "gpt-4o",
    {"user-agent": "openai-python", "x-request-id": "r-1", "traceparent": TRACEPARENT},
)
SAVED = Handled(
    "POST",
    "a.com",
    "chat",
    "b.com:80",
    "a.com:80",
    (LOST, ANSWERED),
    200,
    (),
    1.5,
    "routes.yaml:3",
    Rescued("saver", ("a.com:80: 503",)),
    "id-1",
    RECEIVED,
    Answer(2048, 0.3, 0.2, Figures("qwen-max-2025", 11, 7, "stop")),
)


def handled(**changes: Any) -> Handled:
    """The request with these changes."""
    return replace(SAVED, **changes)


def failed(status: int | None, *flags: str, failure: str | None = None) -> Handled:
    """A request whose only attempt failed without an answer; without a failure there was none."""
    attempt = Attempted("a.com:80", "10.0.0.1:443", "x", 0.1, failure=failure, lost_after_s=0.1)
    return handled(
        target="a.com:80",
        instead_of=None,
        attempts=(attempt,) if failure else (),
        status=status,
        flags=flags,
        rescue=None,
        answer=Answer(),
    )


def ejected(reason: str = "consecutive 5xx", endpoint: str = "10.0.0.1:443", **changes: Any) -> Ejected:
    return replace(Ejected("a.com", 80, endpoint, reason, 10.0, 1), **changes)
