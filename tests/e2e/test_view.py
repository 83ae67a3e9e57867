"""What a person sees: the saved flow shows what was sent and why, the log has one line per request."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from mitmproxy import http

from standin import StandIn
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import JSON, QUESTION, http_client
from tests.support.mesh import PATH, Host, write_mesh
from tests.support.proxy import Proxy, Setting
from tests.support.saved import is_attempt, read_flows
from tests.support.secret import Secret

KEY = Secret("the fallback's key", "sk-fallback-77c0ffee")
STREAMED = json.dumps({**json.loads(QUESTION), "stream": True})
SENT = {**json.loads(QUESTION), "model": "the-fallback"}


@dataclass(frozen=True, slots=True)
class Story:
    """What was seen of four requests: a failure, the fallback's answer whole and streamed, the primary's."""

    log: list[str]
    requests: list[str]
    flows: list[http.HTTPFlow]
    attempts: list[http.HTTPFlow]
    answers: list[bytes]
    fallback: StandIn


@pytest.fixture(scope="module", name="story")
def played(
    background: Background,
    authority: Authority,
    setting: Setting,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Story]:
    """Play it, and look at the files when mitmdump has ended."""
    folder: Path = tmp_path_factory.mktemp("view")
    saved = folder / "flows.mitm"
    with ExitStack() as stack:
        reserved = stack.enter_context(socket.socket())
        reserved.bind(("127.0.0.1", 0))
        fallback = StandIn(tls=authority.issue("fallback.test"))
        stack.enter_context(background.serving(fallback))
        port = reserved.getsockname()[1]
        config = write_mesh(
            folder,
            Host(name="primary.test", port=port, threshold=1, ejection="6s", fallback="fallback.test"),
            Host(name="fallback.test", port=fallback.port, model="the-fallback", key=KEY.value),
        )
        with Proxy(setting, config, "-w", str(saved)) as proxy, http_client(proxy) as client:
            answers = [
                client.post("http://primary.test", content=body, headers=JSON).content
                for body in (QUESTION, QUESTION, STREAMED)
            ]
            with background.serving(StandIn(tls=authority.issue("primary.test"), sock=reserved)):
                proxy.wait_for_line("returned primary.test:80")
                answers.append(client.post("http://primary.test", content=QUESTION, headers=JSON).content)
        flows = read_flows(saved)
        yield Story(
            list(proxy.lines),
            proxy.requests(),
            [flow for flow in flows if not is_attempt(flow)],
            [flow for flow in flows if is_attempt(flow)],
            answers,
            fallback,
        )


def test_a_flow_for_each_request(story: Story) -> None:
    """Its answer is the one that the client got, and a marker tells those that did not go as usual."""
    assert [flow.response and flow.response.status_code for flow in story.flows] == [503, 200, 200, 200]
    arrows = ":twisted_rightwards_arrows:"
    assert [flow.marked for flow in story.flows] == [":x:", arrows, arrows, ""]


def test_a_flow_for_each_attempt_that_failed(story: Story) -> None:
    """What was sent to whom, and what came of it; it knows the client's flow."""
    (attempt,) = story.attempts
    assert attempt.request.pretty_host == "primary.test"
    assert json.loads(attempt.request.get_content() or b"")["messages"] == SENT["messages"]
    assert attempt.response is None
    assert attempt.error is not None
    assert attempt.error.msg == "connect-failure (Connection refused)"
    assert attempt.marked == ":leftwards_arrow_with_hook:"
    told = attempt.metadata["llm_fallback_attempt"]
    assert (told["of"], told["failure"]) == (story.flows[0].id, "connect-failure")
    assert attempt.comment.startswith("attempt at primary.test:80, 127.0.0.1:")


def test_the_decision_as_data(story: Story) -> None:
    """A saved flow still explains itself."""
    told = [flow.metadata["llm_fallback"] for flow in story.flows]
    assert [data["result"] for data in told] == ["failed", "fell back", "fell back", "answered"]
    assert [data["id"] for data in told] == [flow.id for flow in story.flows]
    assert told[1]["model"] == "the-fallback"
    assert told[1]["attempts"][0]["model"] == "the-fallback"
    assert told[2]["shown_bytes"] == told[2]["bytes"] == len(story.answers[2])
    assert told[2]["arrivals"][-1][1] == told[2]["bytes"]


def test_the_request_that_was_sent(story: Story) -> None:
    """URL, body and headers are those that the fallback provider got, its key redacted."""
    for number, body in ((1, SENT), (2, {**SENT, "stream": True})):
        request = story.flows[number].request
        assert (request.method, request.scheme, request.path) == ("POST", "https", PATH)
        assert (request.pretty_host, request.port) == ("fallback.test", story.fallback.port)
        assert json.loads(request.get_content() or b"") == body
        assert request.get_content() == story.fallback.seen[number - 1].body
        assert request.headers.get_all("authorization") == ["Bearer [redacted]"]
        assert request.headers["host"] == "fallback.test"


def test_the_connection_that_was_used(story: Story) -> None:
    """Its address, and the name that TLS was asked for."""
    server = story.flows[1].server_conn
    assert server.address == ("127.0.0.1", story.fallback.port)
    assert (server.tls, server.sni) == (True, "fallback.test")


def test_the_answer_that_came(story: Story) -> None:
    """Its body too, whole and streamed."""
    for flow, answer in zip(story.flows, story.answers, strict=True):
        assert flow.response
        assert flow.response.get_content() == answer
    assert story.answers[2].endswith(b"data: [DONE]\n\n")
    assert story.answers[0] == b"no healthy upstream"


def test_the_comment_that_says_why(story: Story) -> None:
    """One line: which route, which target, what came of the attempts, and what was ejected."""
    failed, fell_back, _, returned = (flow.comment for flow in story.flows)
    assert "primary.test-route -> primary.test:80" in failed
    assert "connect-failure" in failed
    assert "fallback.test:80 instead of primary.test:80" in fell_back
    assert "primary.test-route -> primary.test:80" in returned
    assert not [flow.comment for flow in story.flows if "\n" in flow.comment]


def test_one_line_in_the_log_for_each_request(story: Story) -> None:
    """Route, target, attempts with outcome and duration, status, and Envoy's flag where there is one."""
    failed, fell_back, streamed, returned = story.requests
    port = story.fallback.port
    assert re.search(
        r"POST primary\.test primary\.test-route -> primary\.test:80 \| .*connect-failure", failed
    )
    assert re.search(r" in \d+ ms, then no healthy endpoint \| 503 UH in \d+ ms$", failed)
    for line in (fell_back, streamed):
        assert "primary.test-route -> fallback.test:80 instead of primary.test:80" in line
        assert re.search(rf"\| 127\.0\.0\.1:{port}: 200 in \d+ ms \| 200 in \d+ ms$", line)
    assert re.search(r"-> primary\.test:80 \| 127\.0\.0\.1:\d+: 200 in \d+ ms \| 200 in \d+ ms$", returned)


def test_one_line_for_each_ejection_and_return(story: Story) -> None:
    """Who, why, for how long."""
    ejected = [line for line in story.log if "ejected primary.test:80 " in line]
    returned = [line for line in story.log if "returned primary.test:80 " in line]
    assert (len(ejected), len(returned)) == (1, 1)
    assert re.search(r"endpoint 127\.0\.0\.1:\d+ for 6 s \(.*5xx", ejected[0])
    away = re.search(r"endpoint 127\.0\.0\.1:\d+ after (\d+\.\d) s$", returned[0])
    assert away
    assert float(away[1]) >= 6
    assert story.log.index(ejected[0]) < story.log.index(returned[0])
