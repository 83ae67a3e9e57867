"""Who is told, by the three options; and a collector that is real."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from llm_fallback import telemetry
from llm_fallback.events import Acted, Returned
from llm_fallback.telemetry import BadTelemetryError, Reporters
from tests.support.patient import PATIENT_S
from tests.telemetry.collector import with_collector
from tests.telemetry.events import AT, SAVED, ejected

RETURNED = Returned("a.com", 80, "10.0.0.1:443", 1.0)


def test_each_event_to_its_log(tmp_path: Path) -> None:
    """Requests to one file, ejections to the other, and what people do to none."""
    requests, ejections = tmp_path / "requests", tmp_path / "ejections"
    reporters = Reporters(lambda: AT)
    reporters.set_access_log(str(requests))
    reporters.set_ejection_log(str(ejections))
    for event in (SAVED, ejected(), RETURNED, Acted("reloaded")):
        reporters.take(event)
    reporters.close()
    reporters.take(SAVED)

    (request,) = (json.loads(line) for line in requests.read_text().splitlines())
    assert request["request_model"] == "gpt-4o"
    actions = [json.loads(line)["action"] for line in ejections.read_text().splitlines()]
    assert actions == ["EJECT", "UNEJECT"]


def test_nothing_is_set() -> None:
    """Then nothing happens."""
    reporters = Reporters(lambda: AT)
    reporters.take(SAVED)
    reporters.take(ejected())
    reporters.close()


def test_a_bad_path(tmp_path: Path) -> None:
    """Is refused in a sentence, and the log before it goes on."""
    good, bad = tmp_path / "good", tmp_path / "missing" / "log"
    reporters = Reporters(lambda: AT)
    reporters.set_access_log(str(good))

    with pytest.raises(BadTelemetryError) as refused:
        reporters.set_access_log(str(bad))

    assert str(refused.value) == f"llm_access_log: {bad} cannot be written: No such file or directory"
    reporters.take(SAVED)
    assert len(good.read_text().splitlines()) == 1
    with pytest.raises(BadTelemetryError, match=r"^llm_ejection_log: "):
        reporters.set_ejection_log(str(bad))
    reporters.close()


def test_otel_without_a_word_of_where() -> None:
    """Is refused, with the variable to set."""
    with pytest.raises(BadTelemetryError, match=r"^llm_otel: .*OTEL_EXPORTER_OTLP_ENDPOINT"):
        Reporters(lambda: AT).set_otel({})


def test_otel_disabled() -> None:
    """OTEL_SDK_DISABLED is no error: somebody wants it off."""
    reporters = Reporters(lambda: AT)
    reporters.set_otel({"OTEL_SDK_DISABLED": "true"})
    reporters.take(SAVED)
    reporters.close()


def test_otel_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """How to install it is said."""
    monkeypatch.delitem(sys.modules, "llm_fallback.telemetry.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    with pytest.raises(BadTelemetryError, match=r"pip install 'asm-llm-fallback\[otel\]'"):
        Reporters(lambda: AT).set_otel(dict(os.environ))


def python(code: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run the code in a process of its own, which knows the product and these tests."""
    root = Path(__file__).parents[2]
    environ = {**environ, "PYTHONPATH": os.pathsep.join([str(root / "addon"), str(root)])}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environ, check=False, timeout=60, capture_output=True, text=True)


def test_what_is_not_wanted_is_not_loaded() -> None:
    """The SDK takes time and memory to import."""
    load = "import sys; import llm_fallback.telemetry"
    count = "print(sum(name.startswith('opentelemetry') for name in sys.modules))"

    assert python(f"{load}; {count}").stdout == "0\n"
    assert int(python(f"{load}.otel; {count}").stdout) > 0


def test_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gets spans and metrics when the proxy ends, by the variables alone, and not through the proxy."""
    received: dict[str, tuple[bytes, str]] = {}

    async def collect(request: web.Request) -> web.Response:
        received[request.path] = await request.read(), request.headers["X-Tenant"]
        return web.Response(content_type="application/x-protobuf")

    def scenario(address: str) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=us")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway")
        monkeypatch.setattr(telemetry.background, "_MAX_SECONDS_TO_END", PATIENT_S)
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, "http://127.0.0.1:1")
        for variable in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(variable, raising=False)
        reporters = Reporters(lambda: AT)
        reporters.set_otel(os.environ)
        reporters.take(SAVED)
        reporters.close()

    with_collector(collect, scenario)

    assert {tenant for _, tenant in received.values()} == {"us"}
    traces = ExportTraceServiceRequest.FromString(received["/v1/traces"][0])
    (resource,) = traces.resource_spans
    assert {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"] == "gateway"
    spans = resource.scope_spans[0].spans
    assert sorted(span.name for span in spans) == ["POST a.com:80", "POST b.com:80", "chat gpt-4o"]
    metrics = ExportMetricsServiceRequest.FromString(received["/v1/metrics"][0])
    assert {metric.name for metric in metrics.resource_metrics[0].scope_metrics[0].metrics} == {
        "gen_ai.client.token.usage",
        "gen_ai.client.operation.duration",
    }


END = """
import os, time
from llm_fallback.telemetry import Reporters
from tests.telemetry.events import SAVED
reporters = Reporters(time.time)
reporters.set_otel(os.environ)
reporters.take(SAVED)
began = time.perf_counter()
reporters.close()
print(time.perf_counter() - began)
"""


def test_a_collector_that_hangs() -> None:
    """Holds up the end of the proxy for two seconds, and not for those that the exporter would wait."""
    released = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    took: list[float] = []

    def scenario(address: str) -> None:
        began = time.perf_counter()
        ended = python(END, OTEL_EXPORTER_OTLP_ENDPOINT=address, OTEL_EXPORTER_OTLP_TIMEOUT="50")
        took.extend((float(ended.stdout), time.perf_counter() - began))

    with_collector(hang, scenario)

    closing, whole = took
    assert 1.5 < closing < 10
    assert whole < 40
