"""What mitmproxy shows of bodies when nobody has chosen a view."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import contentviews, http
from mitmproxy.contentviews import ContentviewResult, Metadata, prettify_message
from mitmproxy.test import taddons, tflow

from llm_fallback.mitm.contentviews import LLMContentview, install
from tests.conversation.chunks import CHAT, RESPONSES, delta, sse

QUESTION = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}).encode()
ANSWER = json.dumps(
    {"model": "m", "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
).encode()
ERROR = b'{"error": {"message": "Slow down", "type": "rate_limit"}}'
STREAM = b"".join(CHAT)
SSE = "text/event-stream"


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    """The view is there, and mitmproxy's options are."""
    with taddons.context():
        uninstall = install()
        yield
        uninstall()


def flow_of(
    question: bytes = QUESTION,
    answer: bytes = ANSWER,
    *,
    kind: str = "application/json",
    path: str = "/anything",
    told: Any = None,
) -> http.HTTPFlow:
    """A flow that is over; `told` is what the addon has said of it."""
    flow = tflow.tflow(resp=True)
    assert flow.response
    flow.request.path = path
    flow.request.headers["content-type"] = "application/json"
    flow.request.content = question
    flow.response.headers["content-type"] = kind
    flow.response.content = answer
    if told is not None:
        flow.metadata["llm_fallback"] = told
    return flow


def response_of(flow: http.HTTPFlow, view: str = "auto") -> ContentviewResult:
    """What is shown of the response."""
    assert flow.response
    return prettify_message(flow.response, flow, view)


def test_question_and_answer() -> None:
    """Of any flow, managed or not; as plain text, which nobody's highlighting garbles."""
    flow = flow_of()
    asked, answered = prettify_message(flow.request, flow), response_of(flow)
    assert (asked.view_name, asked.syntax_highlight) == ("LLM", "none")
    assert asked.text == "chat request: m, 1 message\n \n── user\nHi\n"
    assert (answered.view_name, answered.text) == ("LLM", "chat answer: m, stop\n \n── assistant\nHello\n")


@pytest.mark.parametrize(
    ("path", "told", "view"),
    [
        pytest.param("/orders", None, "JSON", id="anybodys"),
        pytest.param("/v1/chat/completions?a=b", None, "LLM", id="by-its-path"),
        pytest.param("/orders", {}, "LLM", id="managed"),
    ],
)
def test_errors(path: str, told: object, view: str) -> None:
    """Errors of LLMs look like those of all other services."""
    assert response_of(flow_of(answer=ERROR, path=path, told=told)).view_name == view


def test_lost_attempt() -> None:
    """An attempt that is shown as a flow of its own is of the same kind."""
    flow = flow_of(answer=ERROR)
    flow.metadata["llm_fallback_attempt"] = {"of": "x"}
    assert response_of(flow).view_name == "LLM"


@pytest.mark.parametrize(
    ("body", "kind", "view"),
    [
        pytest.param(b'{"a": 1}', "application/json", "JSON", id="json"),
        pytest.param(b'{"choices": ["red"]}', "application/json", "JSON", id="similar"),
        pytest.param(b"<html></html>", "text/html", "XML/HTML", id="html"),
        pytest.param(b"no healthy upstream", "text/plain", "Raw", id="text"),
        pytest.param(b"data: hello\n\n", SSE, "Raw", id="another-stream"),
    ],
)
def test_what_is_not_ours(body: bytes, kind: str, view: str) -> None:
    """Others show it, on the way to an LLM, too."""
    flow = flow_of(answer=body, kind=kind, path="/v1/chat/completions", told={})
    assert response_of(flow).view_name == view


def test_a_stream_that_is_too_long() -> None:
    """To read it would take seconds, in which mitmweb does nothing else; who wants to can."""
    flow = flow_of(answer=STREAM + b": \n\n" * 1_500_000, kind=SSE, told={})
    assert response_of(flow).view_name == "Raw"
    assert response_of(flow, "LLM").view_name == "LLM"


def test_chosen_by_hand() -> None:
    """What is no conversation is shown as it is, without a traceback."""
    shown = response_of(flow_of(answer=b"no healthy upstream", kind="text/plain"), "LLM")
    assert shown.text == "[neither a request to an LLM nor its answer]\n\nno healthy upstream"
    assert response_of(flow_of(), "llm").text == "chat answer: m, stop\n \n── assistant\nHello\n"


def test_stream_with_times() -> None:
    """The addon keeps when the pieces of a managed flow's answer came."""
    half = len(STREAM) // 2
    told = {"arrivals": [[0.5, half], [1.5, len(STREAM)]], "duration_s": 1.75, "bytes": 1, "shown_bytes": 1}
    text = response_of(flow_of(answer=STREAM, kind=SSE, told=told)).text
    assert text.splitlines()[:2] == [
        "chat answer: qwen-max, 10 tokens in, 20 out, tool_calls",
        "first token after 0.50 s, 20 tokens/s, 1.8 s in all, 11 events, longest gap 1.0 s",
    ]


@pytest.mark.parametrize(
    "told", [None, {"arrivals": [[0.5, 100], [1.5, 200]], "duration_s": 1.0, "first_byte_s": 0.5}]
)
def test_compressed(told: object) -> None:
    """Bytes that came compressed are not those of the events."""
    flow = flow_of(kind=SSE, told=told)
    assert flow.response
    flow.response.headers["content-encoding"] = "gzip"
    flow.response.raw_content = gzip.compress(STREAM)
    line = response_of(flow).text.splitlines()[1]
    assert line == ("first byte after 0.50 s, 1.0 s in all, 11 events" if told else "2.0 s in all, 11 events")


@pytest.mark.parametrize(
    ("body", "kind", "line"),
    [
        pytest.param(STREAM[:700], SSE, "Let me look — 你好.", id="stream"),
        pytest.param(ANSWER[:40], "application/json", ANSWER[:40].decode(), id="json"),
    ],
)
def test_only_the_beginning_was_kept(body: bytes, kind: str, line: str) -> None:
    """The view says so, where the rest cannot be guessed."""
    shown = response_of(flow_of(answer=body, kind=kind, told={"bytes": 1000, "shown_bytes": 500}))
    assert shown.view_name == "LLM"
    assert "[only the beginning was kept: 500 B more are not shown]" in shown.text.splitlines()
    assert line in shown.text.splitlines()


@pytest.mark.parametrize(
    "told",
    [
        "text", [], {"arrivals": "no"},
        {"arrivals": [1, [], ["a", "b"], [float("nan"), 1], [1.0, 10**400], [True, 1]]},
        {"bytes": 10**400, "shown_bytes": "1", "first_byte_s": 10**400, "duration_s": float("inf")},
        {"arrivals": [[-1.0, 5], [0.5, -5]]},
    ],
)  # fmt: skip
def test_files_that_say_anything(told: object) -> None:
    """A saved flow may come from anybody."""
    shown = response_of(flow_of(answer=STREAM, kind=SSE, told=told))
    assert (shown.view_name, shown.text.splitlines()[1]) == ("LLM", "2.0 s in all, 11 events")


@given(st.binary(), st.sampled_from(["application/json", SSE, "", "image/png"]), st.booleans())
def test_any_body(body: bytes, kind: str, is_managed: bool) -> None:  # noqa: FBT001 - hypothesis draws it
    """Whatever it is, something is shown."""
    flow = flow_of(body, body, kind=kind, told={} if is_managed else None)
    view = contentviews.registry["LLM"]
    for message in (flow.request, flow.response):
        metadata = Metadata(flow, kind, message)
        if view.render_priority(body, metadata) > 0:
            assert view.prettify(body, metadata)
        assert view.prettify(body, metadata) or not body


@pytest.mark.parametrize("events", [CHAT, RESPONSES, sse(delta(content="Hi"))])
def test_streams_of_others(events: list[bytes]) -> None:
    """A stream is known by what it is said to be, or by its first bytes."""
    body = b"".join(events)
    assert response_of(flow_of(answer=body, kind=SSE)).view_name == "LLM"
    flow = flow_of(answer=body)
    assert flow.response
    del flow.response.headers["content-type"]
    assert response_of(flow).view_name == "LLM"


def test_huge_bodies_of_others_are_not_read() -> None:
    """The check that each displayed body gets looks at its beginning only."""
    flow = flow_of(answer=b'{"a": "' + b"x" * 5000 + b'", "choices": ' + ANSWER + b"}")
    assert response_of(flow).view_name == "JSON"


def test_installed_twice() -> None:
    """A script that is loaded again finds the view, and the last one to leave turns it off."""
    before = contentviews.registry["llm"]
    uninstall = install()
    assert isinstance(before, LLMContentview)
    assert contentviews.registry["llm"] is before
    uninstall()
    uninstall()
    assert response_of(flow_of()).view_name == "LLM"


def test_uninstalled(request: pytest.FixtureRequest) -> None:
    """Then others are chosen, and it is there for those who choose it."""
    view = contentviews.registry["llm"]
    assert isinstance(view, LLMContentview)
    users, view.users = view.users, 0
    request.addfinalizer(lambda: setattr(view, "users", users))
    assert response_of(flow_of()).view_name == "JSON"
    assert response_of(flow_of(), "LLM").text.startswith("chat answer")
