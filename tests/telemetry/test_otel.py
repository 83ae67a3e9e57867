"""Spans and metrics, by the SDK's own exporters in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from llm_fallback.events import Handled
from llm_fallback.metrics.names import MAX_NAMES
from llm_fallback.telemetry.otel import BadEnvironmentError, OpenTelemetry, Outputs, outputs_of
from tests.telemetry.events import AT, LOST, RECEIVED, SAVED, failed, handled

HERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


def told(*events: Handled, environ: Mapping[str, str] | None = None) -> Sequence[ReadableSpan]:
    """The spans of events, in the order in which they ended."""
    exporter = InMemorySpanExporter()
    otel = OpenTelemetry(Outputs((SimpleSpanProcessor(exporter),)), environ or {})
    for event in events:
        otel.take(event)
    otel.close()
    return exporter.get_finished_spans()


def measured(*events: Handled) -> dict[str, list[HistogramDataPoint]]:
    """The points of each metric."""
    reader = InMemoryMetricReader()
    otel = OpenTelemetry(Outputs((), (reader,)), {})
    for event in events:
        otel.take(event)
    data: Any = reader.get_metrics_data()
    otel.close()
    if data is None:
        return {}
    (scope,) = data.resource_metrics[0].scope_metrics
    return {metric.name: list(metric.data.data_points) for metric in scope.metrics}


def seconds(span: ReadableSpan) -> tuple[float, float]:
    """When it began and ended, counted from the request."""
    assert span.start_time is not None
    assert span.end_time is not None
    return round(span.start_time / 1e9 - AT, 4), round(span.end_time / 1e9 - AT, 4)


def test_spans_of_a_saved_request() -> None:
    """One for the request, under the client's; one for each attempt, under that; with their own times."""
    lost, answered, whole = told(SAVED)

    assert [span.name for span in (lost, answered, whole)] == [
        "POST a.com:80",
        "POST b.com:80",
        "chat gpt-4o",
    ]
    assert {span.kind for span in (lost, answered, whole)} == {SpanKind.CLIENT}
    assert seconds(whole) == (0.0, 1.5)
    assert seconds(lost) == (0.001, 0.0635)
    assert seconds(answered) == (0.0635, 1.5)
    assert whole.parent is not None
    assert format(whole.parent.span_id, "016x") == "b7ad6b7169203331"
    for span in (lost, answered):
        assert span.parent is not None
        assert span.parent.span_id == whole.context.span_id
        assert format(span.context.trace_id, "032x") == "0af7651916cd43dd8448eb211c80319c"
    assert [span.status.status_code for span in (lost, answered, whole)] == [
        *(StatusCode.ERROR, StatusCode.UNSET, StatusCode.UNSET)
    ]
    assert dict(whole.attributes or {})["gen_ai.usage.output_tokens"] == 7
    assert dict(lost.attributes or {})["error.type"] == "503"


def test_the_clients_state_goes_on() -> None:
    """tracestate is the client's."""
    received = replace(RECEIVED, headers={**RECEIVED.headers, "tracestate": "vendor=1"})
    *_, whole = told(handled(received=received))

    assert whole.context.trace_state.get("vendor") == "1"


@pytest.mark.parametrize("headers", [{}, {"traceparent": "00-nonsense"}])
def test_no_parent(headers: dict[str, str]) -> None:
    """Without a context, or with a broken one, a trace begins here."""
    *_, whole = told(handled(received=replace(RECEIVED, headers=headers)))

    assert whole.parent is None


def test_what_the_client_does_not_sample() -> None:
    """Is not sent, and costs no spans of attempts."""
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00"}

    assert told(handled(received=replace(RECEIVED, headers=headers))) == ()


def test_a_failure() -> None:
    """Is an error, and says which one."""
    attempt, whole = told(failed(503, "UF", failure="connect-failure"))

    assert (attempt.status.status_code, attempt.status.description) == (StatusCode.ERROR, "connect-failure")
    assert (whole.status.status_code, whole.status.description) == (StatusCode.ERROR, "503")


def test_an_attempt_never_ends_before_it_begins() -> None:
    """Whatever clocks say."""
    spans = told(handled(attempts=(replace(LOST, began_s=9.0, lost_after_s=None),), duration_s=1.0))

    assert all((span.end_time or 0) >= (span.start_time or 0) for span in spans)


def test_a_request_of_which_nothing_is_known() -> None:
    """Has no time, and so no span."""
    assert told(handled(received=None)) == ()


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "llm-fallback"),
        ({"OTEL_SERVICE_NAME": "mine"}, "mine"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b,service.name=theirs"}, "theirs"),
    ],
)
def test_the_service(environ: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is called as the environment says."""
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)

    assert told(SAVED, environ=environ)[0].resource.attributes["service.name"] == name


def test_metrics() -> None:
    """Tokens by type and the duration, in the conventions' buckets."""
    found = measured(SAVED, SAVED)

    read, written = found["gen_ai.client.token.usage"]
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "qwen-max-2025",
        "server.address": "b.com",
        "server.port": 80,
    }
    assert (read.sum, dict(read.attributes or {})) == (22, {**common, "gen_ai.token.type": "input"})
    assert (written.sum, dict(written.attributes or {})) == (14, {**common, "gen_ai.token.type": "output"})
    assert (read.explicit_bounds[:4], read.explicit_bounds[-1]) == ((1, 4, 16, 64), 67108864)
    (duration,) = found["gen_ai.client.operation.duration"]
    assert (duration.sum, duration.count, dict(duration.attributes or {})) == (3.0, 2, common)
    assert (duration.explicit_bounds[0], duration.explicit_bounds[-1]) == (0.01, 81.92)


def test_metrics_of_a_failure() -> None:
    """No tokens, and the error."""
    found = measured(failed(503, "UH"))

    (duration,) = found["gen_ai.client.operation.duration"]
    assert (duration.attributes or {})["error.type"] == "503"
    assert "gen_ai.client.token.usage" not in found


def test_what_generates_nothing_is_not_measured() -> None:
    """As a list of models."""
    received = replace(RECEIVED, path="/v1/models", model=None)

    assert measured(handled(method="GET", received=received)) == {}


def test_models_are_bounded() -> None:
    """A client that makes up models makes no series without end."""
    events = [handled(received=replace(RECEIVED, model=f"m{number}")) for number in range(MAX_NAMES + 20)]

    assert len(measured(*events)["gen_ai.client.operation.duration"]) == MAX_NAMES  # one is the answer's


@pytest.mark.parametrize(
    ("environ", "spans", "metrics"),
    [
        pytest.param(HERE, 1, 1, id="an endpoint is enough"),
        pytest.param({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, 1, 0, id="of one signal"),
        pytest.param({"OTEL_TRACES_EXPORTER": "otlp"}, 1, 0, id="the usual endpoint"),
        pytest.param({"OTEL_TRACES_EXPORTER": "console"}, 1, 0, id="console"),
        pytest.param({**HERE, "OTEL_METRICS_EXPORTER": "none"}, 1, 0, id="no metrics"),
        pytest.param({**HERE, "OTEL_TRACES_EXPORTER": "none"}, 0, 1, id="no spans"),
        pytest.param({**HERE, "OTEL_SDK_DISABLED": "TRUE"}, 0, 0, id="disabled"),
        pytest.param({"OTEL_TRACES_EXPORTER": "none"}, 0, 0, id="nothing, explicitly"),
        pytest.param({**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, 1, 1, id="protocol"),
        pytest.param(
            {
                **HERE,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
                "OTEL_METRICS_EXPORTER": "none",
            },
            *(1, 0),
            id="the signal's protocol wins",
        ),
    ],
)
def test_outputs(environ: dict[str, str], spans: int, metrics: int) -> None:
    """As the variables say."""
    outputs = outputs_of(environ)

    assert (len(outputs.spans), len(outputs.metrics)) == (spans, metrics)
    for processor in outputs.spans:
        processor.shutdown()
    for reader in outputs.metrics:
        reader.shutdown()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "nothing says where"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER=zipkin is not known; there are otlp, "),
        ({**HERE, "OTEL_METRICS_EXPORTER": "prometheus"}, "OTEL_METRICS_EXPORTER=prometheus is not known"),
        (
            {**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not supported",
        ),
    ],
)
def test_what_cannot_be(environ: dict[str, str], message: str) -> None:
    """Is said in a sentence, with the variable."""
    with pytest.raises(BadEnvironmentError, match=message):
        outputs_of(environ)
