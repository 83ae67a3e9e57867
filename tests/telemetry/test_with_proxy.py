"""The three options of the real proxy, while a provider is out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support import answers
from tests.support.answers import DONE, delta, event
from tests.support.background import Background
from tests.support.certificates import Authority
from tests.support.clients import http_client
from tests.support.patient import PATIENT
from tests.support.provider import respond
from tests.support.proxy import Setting
from tests.support.rescued import FALLBACK, PRIMARY, URL, Mesh, Targets, rescuing
from tests.telemetry.collector import with_collector
from tests.telemetry.events import TRACEPARENT

KEY = "sk-client-3a9f"
PROMPT = "what nobody else may read"
SAID = "nor may they read this"
BODY = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
USAGE = event({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}})
STREAM = (delta({"content": SAID}, model="served"), delta({}, "stop", "served"), USAGE, DONE)
MESH = Mesh(
    primary=respond(503, b"out"),
    fallback=answers.serve(b"{}", STREAM),
    threshold=1,
    models={FALLBACK: "qwen"},
)


def ask(targets: Targets) -> httpx.Response:
    """A chat, as a client with a key and a trace of its own asks for it."""
    headers = {"authorization": f"Bearer {KEY}", "traceparent": TRACEPARENT, "user-agent": "test"}
    with http_client(targets.proxy) as client:
        return client.post(URL, json=BODY, headers=headers)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_logs(background: Background, authority: Authority, setting: Setting, tmp_path: Path) -> None:
    """One line for the request, with what the stream says of itself, and one for the ejection."""
    access, ejections = tmp_path / "access.log", tmp_path / "ejections.log"
    options = ["--set", f"llm_access_log={access}", "--set", f"llm_ejection_log={ejections}"]
    with rescuing(MESH, background, authority, setting, tmp_path, *options) as targets:
        assert SAID in ask(targets).text

    (entry,) = lines(access)
    expected = {
        "response_code": 200,
        "response_code_details": "via_upstream",
        "authority": PRIMARY,
        "upstream_cluster": f"outbound|80||{FALLBACK}",
        "user_agent": "test",
        "request_model": "gpt-4o",
        "response_model": "served",
        "input_tokens": 11,
        "output_tokens": 7,
        "finish_reason": "stop",
        "attempts": 2,
        "attempts_lost": 1,
        "fallback_from": f"{PRIMARY}:80",
        "rescued_from": [f"{PRIMARY}:80: 503"],
    }
    assert {name: entry[name] for name in expected} == expected
    assert entry["duration"] >= entry["time_to_first_byte"] >= entry["duration_lost"] >= 0
    (ejection,) = lines(ejections)
    assert (ejection["action"], ejection["type"]) == ("EJECT", "CONSECUTIVE_5XX")
    assert ejection["cluster_name"] == f"outbound|80||{PRIMARY}"
    for secret in (KEY, PROMPT, SAID):
        assert secret not in access.read_text() + ejections.read_text()


def test_opentelemetry(
    background: Background, authority: Authority, setting: Setting, tmp_path: Path
) -> None:
    """The collector gets the request's span, below the client's, when the proxy ends."""
    received: dict[str, bytes] = {}
    patient = tmp_path / "patient.py"
    patient.write_text(PATIENT, encoding="utf-8")

    async def collect(request: web.Request) -> web.Response:
        received[request.path] = await request.read()
        return web.Response(content_type="application/x-protobuf")

    def scenario(address: str) -> None:
        environment = {**setting.environment, "OTEL_EXPORTER_OTLP_ENDPOINT": address}
        telling = replace(setting, environment=environment)
        options = ("--set", "llm_otel=true", "-s", str(patient))
        with rescuing(MESH, background, authority, telling, tmp_path, *options) as targets:
            ask(targets)

    with_collector(collect, scenario)

    sent = ExportTraceServiceRequest.FromString(received["/v1/traces"])
    spans: list[Span] = list(sent.resource_spans[0].scope_spans[0].spans)
    whole = next(span for span in spans if span.name == "chat gpt-4o")
    attempts = [span for span in spans if span is not whole]
    assert sorted(span.name for span in attempts) == [f"POST {FALLBACK}:80", f"POST {PRIMARY}:80"]
    assert {span.parent_span_id for span in attempts} == {whole.span_id}
    assert f"00-{whole.trace_id.hex()}-{whole.parent_span_id.hex()}-01" == TRACEPARENT
    for span in attempts:
        assert whole.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= whole.end_time_unix_nano
    assert b"gen_ai.client.token.usage" in received["/v1/metrics"]
    for secret in (KEY, PROMPT, SAID):
        assert secret.encode() not in b"".join(received.values())
