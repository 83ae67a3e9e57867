"""The values of all metrics at one moment, each under Prometheus' name and under Envoy's own. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from llm_fallback.metrics.counting import BUCKETS_MS, TARGET_COUNTERS, Counts, Durations, Metrics
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


def stats(metrics: Metrics, statuses: Iterable[TargetStatus]) -> Iterator[Stat]:
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
        cluster = cluster_name(status.target)
        for name, value in values.items():
            if name.startswith(_DETECTION) and not status.target.outlier:
                continue
            yield _of_cluster(_GAUGES[name], cluster, name, value)
        held = sum(endpoint.held_until is not None for endpoint in endpoints)
        yield _of_cluster(_HOLD_OFFS_ACTIVE, cluster, "llm_fallback.hold_offs_active", held)


def _of_target(counts: Counts) -> Iterator[Stat]:
    cluster = cluster_name(counts.target)
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
    total = 0
    for limit, count in zip((*BUCKETS_MS, "+Inf"), durations.buckets, strict=True):
        total += count
        yield Stat(_DURATIONS, {**labels, "le": str(limit)}, "", total, "_bucket")
    yield Stat(_DURATIONS, labels, "", durations.sum_ms, "_sum")
    yield Stat(_DURATIONS, labels, "", durations.count, "_count")


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
