"""The values of all metrics at one moment, each under Prometheus' name and under Envoy's own. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from llm_fallback.config.in_force import Configuration
from llm_fallback.metrics.counting import TARGET_COUNTERS, Counts, Metrics
from llm_fallback.metrics.durations import BUCKETS_MS, Durations
from llm_fallback.metrics.usage import Usage
from llm_fallback.status import TargetStatus, cluster_name

_DETECTION = "outlier_detection."


class Family(NamedTuple):
    """Values of one kind: their name and type for Prometheus, and what they mean."""

    name: str
    type: str
    help: str


class Stat(NamedTuple):
    """A value; Envoy's `name` has the labels in it. A part of a histogram has a `suffix` and no such name."""

    family: Family
    labels: Mapping[str, str]
    name: str
    value: float
    suffix: str = ""


def stats(
    metrics: Metrics, statuses: Iterable[TargetStatus], configuration: Configuration | None = None
) -> Iterator[Stat]:
    """Every value as it is now."""
    for counts in metrics.targets.values():
        yield from _of_target(counts)
    yield from _gauges(statuses)
    for key, durations in metrics.requests.items():
        yield from _of_requests(*key, durations)
    for (chosen, instead), count in metrics.fallbacks.items():
        labels = {"from_host": chosen, "to_host": instead}
        yield Stat(_FALLBACKS, labels, f"llm_fallback.fallbacks_total.{chosen}.{instead}", count)
    for (reason, result), count in metrics.rescues.items():
        labels = {"reason": reason, "result": result}
        yield Stat(_RESCUES, labels, f"llm_fallback.rescues_total.{reason}.{result}", count)
    yield from _of_usage(metrics.usage)
    if configuration:
        yield from _of_configuration(configuration)


def _gauges(statuses: Iterable[TargetStatus]) -> Iterator[Stat]:
    """What is not counted but is as it is: endpoints, who is ejected, requests under way."""
    for status in statuses:
        endpoints = status.endpoints
        values = {
            "membership_total": len(endpoints),
            "membership_healthy": sum(endpoint.is_in_rotation for endpoint in endpoints),
            "outlier_detection.ejections_active": sum(endpoint.is_ejected for endpoint in endpoints),
            "upstream_cx_active": sum(endpoint.connections for endpoint in endpoints),
            "upstream_rq_active": sum(endpoint.active_requests for endpoint in endpoints),
            "upstream_rq_pending_active": sum(endpoint.pending_requests for endpoint in endpoints),
        }
        cluster = cluster_name(status.target.key)
        for name, value in values.items():
            if name.startswith(_DETECTION) and not status.target.outlier:
                continue
            yield _of_cluster(_GAUGES[name], cluster, name, value)
        held = sum(endpoint.held_until is not None for endpoint in endpoints)
        yield _of_cluster(_HOLD_OFFS_ACTIVE, cluster, "llm_fallback.hold_offs_active", held)


def _of_target(counts: Counts) -> Iterator[Stat]:
    cluster = cluster_name(counts.target.key)
    for name, family in _COUNTERS.items():
        if name.startswith(_DETECTION) and not counts.target.outlier:
            continue
        yield _of_cluster(family, cluster, name, counts.stats[name])
    yield _of_cluster(_HOLD_OFFS, cluster, "llm_fallback.hold_offs_total", counts.hold_offs)
    classes: defaultdict[int, int] = defaultdict(int)
    for code, count in counts.codes.items():
        classes[code // 100] += count
        yield _of_cluster(_CODES, cluster, f"upstream_rq_{code}", count, _code(code))
    for first, count in classes.items():
        labels = {"envoy_response_code_class": str(first)}
        yield _of_cluster(_CLASSES, cluster, f"upstream_rq_{first}xx", count, labels)
    for code, count in counts.retried_codes.items():
        yield _of_cluster(_RETRIED_CODES, cluster, f"retry.upstream_rq_{code}", count, _code(code))


def _of_cluster(
    family: Family, cluster: str, name: str, value: int, labels: Mapping[str, str] | None = None
) -> Stat:
    return Stat(family, {**(labels or {}), "envoy_cluster_name": cluster}, f"cluster.{cluster}.{name}", value)


def _code(code: int) -> dict[str, str]:
    return {"envoy_response_code": str(code)}


def _of_requests(
    host: str, status: int | None, flags: tuple[str, ...], durations: Durations
) -> Iterator[Stat]:
    labels = {
        "reporter": "source",
        "destination_service": host,
        "destination_service_name": host,
        "request_protocol": "http",
        "response_code": str(status or 0),
        "response_flags": ",".join(flags) or "-",
    }
    name = f"istio_requests_total.{host}.{labels['response_code']}.{labels['response_flags']}"
    yield Stat(_REQUESTS, labels, name, durations.count)
    yield from _histogram(_DURATIONS, labels, durations)


def _histogram(family: Family, labels: Mapping[str, str], durations: Durations) -> Iterator[Stat]:
    total = 0
    for limit, count in zip((*BUCKETS_MS, "+Inf"), durations.buckets, strict=True):
        total += count
        yield Stat(family, {**labels, "le": str(limit)}, "", total, "_bucket")
    yield Stat(family, labels, "", durations.sum_ms, "_sum")
    yield Stat(family, labels, "", durations.count, "_count")


def _of_usage(usage: Usage) -> Iterator[Stat]:
    for tokens, count in usage.tokens.items():
        yield _ours(_TOKENS, tokens._asdict(), count)
    for lost, count in usage.lost_attempts.items():
        yield _ours(_LOST_ATTEMPTS, lost._asdict(), count)
    for lost, seconds in usage.lost_seconds.items():
        yield _ours(_LOST_SECONDS, lost._asdict(), seconds)
    for (host, kind), count in usage.lost_tokens.items():
        yield _ours(_LOST_TOKENS, {"host": host, "type": kind}, count)
    for host, durations in usage.first_bytes.items():
        yield from _histogram(_FIRST_BYTES, {"host": host}, durations)


def _of_configuration(configuration: Configuration) -> Iterator[Stat]:
    yield _ours(_IS_CURRENT, {}, int(configuration.is_current))
    if configuration.loaded_at is not None:
        yield _ours(_LOADED_AT, {}, configuration.loaded_at)


def _ours(family: Family, labels: Mapping[str, str], value: float) -> Stat:
    name = family.name.replace("llm_fallback_", "llm_fallback.", 1)
    return Stat(family, labels, ".".join([name, *labels.values()]), value)


def _envoy(helps: Mapping[str, str], kind: str) -> dict[str, Family]:
    return {
        name: Family(f"envoy_cluster_{name.replace('.', '_')}", kind, text) for name, text in helps.items()
    }


_COUNTERS = _envoy(TARGET_COUNTERS, "counter")
_GAUGES = _envoy(
    {
        "membership_total": "Endpoints.",
        "membership_healthy": "Endpoints in rotation.",
        "outlier_detection.ejections_active": "Endpoints that outlier detection has ejected.",
        "upstream_cx_active": "Connections.",
        "upstream_rq_active": "Requests under way.",
        "upstream_rq_pending_active": "Requests that wait for a connection.",
    },
    "gauge",
)
_CODES = Family("envoy_cluster_upstream_rq", "counter", "Answers to clients, by status.")
_CLASSES = Family(
    "envoy_cluster_upstream_rq_xx", "counter", "Answers to clients, by the status's first digit."
)
_RETRIED_CODES = Family(
    "envoy_cluster_retry_upstream_rq", "counter", "Answers that another took the place of."
)
_HOLD_OFFS = Family("llm_fallback_hold_offs_total", "counter", "Endpoints that asked to be left alone.")
_HOLD_OFFS_ACTIVE = Family("llm_fallback_hold_offs_active", "gauge", "Endpoints that are left alone for it.")
_FALLBACKS = Family(
    "llm_fallback_fallbacks_total", "counter", "Requests that went to another host than chosen."
)
_RESCUES = Family(
    "llm_fallback_rescues_total", "counter", "Requests whose first target was lost, by the result."
)
_REQUESTS = Family("istio_requests_total", "counter", "Managed requests, by their end.")
_DURATIONS = Family("istio_request_duration_milliseconds", "histogram", "How long managed requests took.")
_TOKENS = Family(
    "llm_fallback_tokens_total", "counter", "Tokens of answers to clients, as providers count them."
)
_FIRST_BYTES = Family(
    "llm_fallback_first_byte_milliseconds",
    "histogram",
    "How long clients waited for the first byte of an answer.",
)
_LOST_ATTEMPTS = Family("llm_fallback_lost_attempts_total", "counter", "Attempts that were thrown away.")
_LOST_SECONDS = Family(
    "llm_fallback_lost_seconds_total", "counter", "What attempts took until they were lost."
)
_LOST_TOKENS = Family("llm_fallback_lost_tokens_total", "counter", "Tokens of answers that nobody got.")
_IS_CURRENT = Family(
    "llm_fallback_configuration_current", "gauge", "Whether the files as they were last saved are in force."
)
_LOADED_AT = Family(
    "llm_fallback_configuration_loaded_timestamp_seconds", "gauge", "When what is in force was read."
)
