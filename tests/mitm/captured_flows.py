"""Flows that show a failure, as they are when it is over."""

from dataclasses import replace

from mitmproxy import http
from mitmproxy.test import tflow, tutils

from llm_fallback import story
from llm_fallback.events import Attempted, Handled, Received
from llm_fallback.mitm import attempt_flows, carriage
from tests.support.secret import Secret

KEY = Secret("the provider's key", "sk-8f1d6a90c2b7")
CALLED = Handled(
    "POST",
    "a.com",
    "chat",
    "a.com:80",
    None,
    (Attempted("a.com:80", "10.0.0.1:443", "200", 0.2, 200),),
    200,
    (),
    0.3,
    received=Received(1.0, "http", "/v1/chat/completions?a=b", 20, model="asked-for"),
)


def managed(event: Handled = CALLED, *, status: int | None = 200, body: bytes = b"{}") -> http.HTTPFlow:
    """A flow as it is when its request has been handled: it shows what was sent."""
    request = tutils.treq(
        host="10.0.0.1",
        port=443,
        path=b"/compatible-mode/v1/chat/completions",
        method=b"POST",
        content=b'{"model": "set", "messages": []}',
        headers=http.Headers(
            [(b"Host", b"a.com"), (b"Authorization", b"Bearer [redacted]"), (b"x-envoy-attempt-count", b"1")]
        ),
    )
    flow = tflow.tflow(req=request)
    flow.metadata[carriage.METADATA] = story.as_data(event)
    if status is not None:
        fields = [(b"content-type", b"application/json"), (b"set-cookie", KEY.value.encode())]
        flow.response = tutils.tresp(status_code=status, content=body, headers=http.Headers(fields))
    return flow


def lost(
    attempt: Attempted, *, body: bytes = b"", headers: tuple[tuple[bytes, bytes], ...] = ()
) -> http.HTTPFlow:
    """The flow of a failed attempt."""
    flow = tflow.tflow()
    flow.metadata[attempt_flows.METADATA] = {"of": "another", **story.attempt_as_data(attempt)}
    if attempt.status:
        flow.response = tutils.tresp(status_code=attempt.status, content=body, headers=http.Headers(headers))
    return flow


def ended(*made: Attempted, status: int = 200, flags: tuple[str, ...] = ()) -> Handled:
    """A request with these attempts."""
    return replace(CALLED, attempts=made, status=status, flags=flags)


FAILED = Attempted("a.com:80", "10.0.0.1:443", "reset (reset before the response)", 0.25, failure="reset")
REFUSED = Attempted("a.com:80", "10.0.0.1:443", "503", 0.25, 503)
FINE = Attempted("b.com:80", "b.com:443", "200", 0.2, 200)
