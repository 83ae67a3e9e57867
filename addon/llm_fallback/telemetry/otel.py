"""OpenTelemetry: a span for each request, one below it for each attempt, and the metrics for generative AI.

They are made after the fact, with the times at which things happened; the SDK's own threads send them. Needs
the extra `otel`: only `telemetry/reporters.py` imports this, when somebody wants it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from llm_fallback.events import Attempted, Handled
from llm_fallback.metrics.names import Names
from llm_fallback.telemetry import genai
from llm_fallback.telemetry.facts import request_model

_SCOPE = "llm_fallback"
_SERVICE = "llm-fallback"
_TOKEN_BUCKETS = tuple(4**power for power in range(14))
_SECOND_BUCKETS = tuple(0.01 * 2**power for power in range(14))
"""Both are the conventions'."""

_propagator = TraceContextTextMapPropagator()


class BadEnvironmentError(Exception):
    """The OTEL_ variables ask for what there is not, or for nothing. The message is one sentence."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where spans and metrics go; empty: nowhere."""

    spans: tuple[SpanProcessor, ...] = ()
    metrics: tuple[MetricReader, ...] = ()


def outputs_of(environ: Mapping[str, str]) -> Outputs:
    """What the OTEL_ variables ask for; none if OTEL_SDK_DISABLED. Raises BadEnvironmentError.

    An exporter that is not named is `otlp` if there is an endpoint for it. The exporters and the SDK read the
    other variables themselves, from the process's environment.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Outputs()
    traces, metrics = _exporter("TRACES", environ), _exporter("METRICS", environ)
    if traces is None and metrics is None:
        raise BadEnvironmentError(
            "nothing says where spans and metrics go; set OTEL_EXPORTER_OTLP_ENDPOINT, such as to "
            "http://localhost:4318, or OTEL_TRACES_EXPORTER=console"
        )
    return Outputs(
        tuple(BatchSpanProcessor(make()) for make in [_SPANS[traces or "none"]] if make),
        tuple(PeriodicExportingMetricReader(make()) for make in [_METRICS[metrics or "none"]] if make),
    )


def _exporter(signal: str, environ: Mapping[str, str]) -> str | None:
    """The name of the exporter; None if neither that nor an endpoint is said."""
    variable = f"OTEL_{signal}_EXPORTER"
    name = environ.get(variable, "").strip().lower()
    if not name:
        endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
        name = "otlp" if any(environ.get(endpoint) for endpoint in endpoints) else ""
    if name and name not in _SPANS:
        raise BadEnvironmentError(f"{variable}={name} is not known; there are otlp, console and none")
    if name == "otlp":
        for variable in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
            if (protocol := environ.get(variable, "").strip()) and protocol != "http/protobuf":
                raise BadEnvironmentError(f"{variable}={protocol} is not supported; there is http/protobuf")
            if protocol:
                break
    return name or None


def _straight() -> requests.Session:
    """Not through HTTP_PROXY, which may be this very proxy."""
    session = requests.Session()
    session.trust_env = False
    return session


_SPANS: Mapping[str, Callable[[], SpanExporter] | None] = {
    "otlp": lambda: OTLPSpanExporter(session=_straight()),
    "console": ConsoleSpanExporter,
    "none": None,
}
_METRICS: Mapping[str, Callable[[], MetricExporter] | None] = {
    "otlp": lambda: OTLPMetricExporter(session=_straight()),
    "console": ConsoleMetricExporter,
    "none": None,
}


class OpenTelemetry:
    """Tells of requests through `outputs`; `environ` is asked for the name of the service."""

    def __init__(self, outputs: Outputs, environ: Mapping[str, str]) -> None:
        resource = Resource.create(_attributes_of_service(environ))
        self._tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        for processor in outputs.spans:
            self._tracers.add_span_processor(processor)
        self._tracer = self._tracers.get_tracer(_SCOPE)
        self._meters = MeterProvider(outputs.metrics, resource, shutdown_on_exit=False)
        meter = self._meters.get_meter(_SCOPE)
        self._tokens: Histogram = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKEN_BUCKETS,
        )
        self._durations: Histogram = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECOND_BUCKETS,
        )
        self._has_spans, self._has_metrics = bool(outputs.spans), bool(outputs.metrics)
        self._models = Names()

    def take(self, event: Handled) -> None:
        """Tell of a request that is over."""
        operation = genai.operation_of(event)
        if self._has_spans and event.received:
            self._trace(event, event.received.at_s, event.received.headers, operation)
        if self._has_metrics and operation:
            self._measure(event, operation)

    def close(self) -> None:
        """Send what is left; that takes as long as a collector lets it."""
        self._tracers.shutdown()
        self._meters.shutdown()

    def _trace(
        self, event: Handled, began_s: float, headers: Mapping[str, str], operation: str | None
    ) -> None:
        began = _ns(began_s)  # seconds since 1970 are too coarse to add to: a child could outlive its parent
        span = self._tracer.start_span(
            genai.span_name(event, operation),
            _propagator.extract(headers),
            SpanKind.CLIENT,
            genai.attributes(event, operation),
            start_time=began,
        )
        if span.is_recording():
            context = set_span_in_context(span)
            for number, attempt in enumerate(event.attempts):
                child = self._tracer.start_span(
                    genai.attempt_name(event, attempt),
                    context,
                    SpanKind.CLIENT,
                    genai.attempt_attributes(event, number),
                    start_time=began + _ns(attempt.began_s),
                )
                if error := genai.attempt_error_type(attempt):
                    child.set_status(Status(StatusCode.ERROR, error))
                child.end(began + _ns(_end_s(attempt, event)))
            if error := genai.error_type(event):
                span.set_status(Status(StatusCode.ERROR, error))
        span.end(began + _ns(event.duration_s))

    def _measure(self, event: Handled, operation: str) -> None:
        labels = genai.labels(event, operation)
        figures = event.answer.figures
        for name, model in (
            ("gen_ai.request.model", request_model(event)),
            ("gen_ai.response.model", figures.model),
        ):
            if model:
                labels[name] = self._models.label(model)
        for kind, count in (("input", figures.input_tokens), ("output", figures.output_tokens)):
            if count is not None:
                self._tokens.record(count, {**labels, "gen_ai.token.type": kind})
        if error := genai.error_type(event):
            labels["error.type"] = error
        self._durations.record(event.duration_s, labels)


def _attributes_of_service(environ: Mapping[str, str]) -> dict[str, str]:
    """A name for the service, unless the environment has one: what is passed in would win over that."""
    named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return {} if named else {"service.name": _SERVICE}


def _end_s(attempt: Attempted, event: Handled) -> float:
    """When it was over, counted from the request's beginning: lost, or with its answer, the request's."""
    if attempt.lost_after_s is not None:
        return attempt.began_s + attempt.lost_after_s
    return (
        attempt.began_s + attempt.duration_s
        if attempt.status is None
        else max(attempt.began_s, event.duration_s)
    )


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
