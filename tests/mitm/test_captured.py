"""What flows tell of their requests and failures."""

import json
from dataclasses import replace
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from llm_fallback.events import Attempted
from llm_fallback.mitm.captured import fault_data, request_of
from llm_fallback.overrides import BadActionError, fault_of
from tests.mitm.captured_flows import FAILED, FINE, KEY, REFUSED, ended, lost, managed


def test_explain_asks_for_what_the_client_asked_for() -> None:
    """The flow itself shows what was sent to the provider."""
    request = request_of(managed())

    assert (request.method, request.host, request.port) == ("POST", "a.com", 80)
    assert request.path == "/v1/chat/completions?a=b"
    assert json.loads(request.body)["model"] == "asked-for"
    assert [name.lower() for name, _ in request.headers] == ["host", "authorization"]


@pytest.mark.parametrize(
    ("flow", "data"),
    [
        pytest.param(
            managed(ended(REFUSED, status=503), status=503, body=b'{"error": 1}'),
            {"kind": "status", "status": 503, "body": '{"error": 1}', "delay_s": 0.25},
            id="an answer that the client got",
        ),
        pytest.param(
            managed(ended(replace(FINE, target="a.com:80"), flags=("UC",)), body=b"data: {"),
            {"kind": "cut", "status": 200, "body": "data: {", "delay_s": 0.2},
            id="an answer that was cut",
        ),
        pytest.param(
            managed(ended(REFUSED, FINE), body=b"{}"),
            {"kind": "status", "status": 503, "delay_s": 0.25},
            id="of a rescued request, the attempt that failed",
        ),
        pytest.param(
            managed(ended(FAILED, status=503), status=503),
            {"kind": "reset", "delay_s": 0.25},
            id="no answer",
        ),
        pytest.param(
            lost(REFUSED, body=b"\xff", headers=((b"retry-after", b"9"), (b"x-api-key", KEY.value.encode()))),
            {
                "kind": "status",
                "status": 503,
                "headers": {"retry-after": "9"},
                "body_base64": "/w==",
                "delay_s": 0.25,
            },
            id="an attempt with an answer",
        ),
        pytest.param(
            lost(replace(FINE, target="a.com:80"), body=b"data: {"),
            {"kind": "cut", "status": 200, "body": "data: {", "delay_s": 0.2},
            id="an attempt whose answer was none",
        ),
        pytest.param(lost(replace(FAILED, failure="per-try-timeout")), {"kind": "hang"}, id="a timeout"),
        pytest.param(
            lost(replace(FAILED, failure="connect-timeout")),
            {"kind": "connect-failure", "delay_s": 0.25},
            id="no connection",
        ),
    ],
)
def test_export(flow: http.HTTPFlow, data: dict[str, Any]) -> None:
    """What has failed, as data that is a fault, at the place where it was."""
    exported = fault_data(flow)

    headers = exported.get("headers", {})
    assert KEY.value not in json.dumps(exported)
    headers.pop("content-type", None)
    assert {name: value for name, value in exported.items() if value != {}} == {"place": "a.com:80", **data}
    del exported["place"]
    fault_of(exported)


@pytest.mark.parametrize(
    ("flow", "sentence"),
    [
        (tflow.tflow(), "this flow is not managed"),
        (managed(), "nothing failed in this flow"),
        (managed(ended(Attempted("a.com:80", None, "no healthy endpoint", 0.0))), "no provider was asked"),
        (lost(replace(FAILED, failure="overflow", result="overflow")), "this attempt was not lost to its"),
    ],
    ids=["unmanaged", "fine", "not asked", "ours"],
)
def test_export_of_what_is_no_failure(flow: http.HTTPFlow, sentence: str) -> None:
    """It is said why there is nothing."""
    with pytest.raises(BadActionError, match=sentence):
        fault_data(flow)


@pytest.mark.parametrize(
    "told",
    [
        {"llm_fallback_attempt": {}},
        {"llm_fallback_attempt": {"target": "a:80", "status": "x", "duration_s": "x"}},
        {"llm_fallback": {"attempts": None}},
        {"llm_fallback": {"attempts": [1]}},
        {"llm_fallback": {"attempts": [{"endpoint": "x", "status": "503", "target": "a"}]}},
        {"llm_fallback": {"attempts": [{"endpoint": "x", "status": 503}], "status": 503, "flags": None}},
    ],
)
def test_export_of_what_somebody_else_wrote(told: dict[str, Any]) -> None:
    """A file of flows may hold anything; one sentence is said of it."""
    flow = tflow.tflow(resp=True)
    flow.metadata.update(told)
    with pytest.raises(BadActionError, match=r"cannot be read|was not lost to its provider"):
        fault_data(flow)
