"""Targets and their endpoints as Envoy's `/clusters` shows clusters and hosts: text and JSON. Pure.

What Envoy has and there is nothing for here (locality, priorities but the first, success rates) has the value
that it has in an Envoy without it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llm_fallback.addresses import is_address
from llm_fallback.config.snapshot import NO_LIMIT, Target
from llm_fallback.metrics import Metrics
from llm_fallback.status import EndpointStatus, TargetStatus, cluster_name

_PRIORITIES = ("default", "high")
_RATES = ("success_rate_average", "success_rate_ejection_threshold")


def as_text(metrics: Metrics, statuses: Iterable[TargetStatus]) -> str:
    """A line for each value: `cluster::endpoint::name::value`."""
    return "".join(f"{line}\n" for status in statuses for line in _lines(metrics, status))


def as_json(metrics: Metrics, statuses: Iterable[TargetStatus]) -> dict[str, Any]:
    """Envoy's `envoy.admin.v3.Clusters`; as there, zeros and empty parts of a message are left out."""
    return {"cluster_statuses": [_cluster(metrics, status) for status in statuses]}


def _lines(metrics: Metrics, status: TargetStatus) -> Iterator[str]:
    name = cluster_name(status.target.key)
    yield f"{name}::observability_name::{name}"
    if status.target.outlier:
        yield from (
            f"{name}::outlier::{which}{rate}::-1" for which in ("", "local_origin_") for rate in _RATES
        )
    for priority in _PRIORITIES:
        for limit, value in _limits(status.target).items():
            yield f"{name}::{priority}_priority::{limit}::{value}"
    yield f"{name}::added_via_api::true"
    for endpoint in status.endpoints:
        values = {
            **dict(sorted(_stats(metrics, status.target, endpoint).items())),
            "hostname": _hostname(status.target, endpoint),
            "health_flags": "".join(f"/{flag}" for flag in _flags(endpoint)) or "healthy",
            "weight": endpoint.weight,
            "region": "",
            "zone": "",
            "sub_zone": "",
            "canary": "false",
            "priority": 0,
            "success_rate": -1,
            "local_origin_success_rate": -1,
        }
        yield from (f"{name}::{endpoint.endpoint}::{key}::{value}" for key, value in values.items())


def _cluster(metrics: Metrics, status: TargetStatus) -> dict[str, Any]:
    name = cluster_name(status.target.key)
    limits = _limits(status.target)
    return {
        "name": name,
        "added_via_api": True,
        "host_statuses": [_host(metrics, status.target, endpoint) for endpoint in status.endpoints],
        "circuit_breakers": {"thresholds": [limits, {"priority": "HIGH", **limits}]},
        "observability_name": name,
    }


def _host(metrics: Metrics, target: Target, endpoint: EndpointStatus) -> dict[str, Any]:
    health: dict[str, Any] = {"eds_health_status": "UNHEALTHY" if _is_taken_out(endpoint) else "HEALTHY"}
    if endpoint.is_ejected:
        health["failed_outlier_check"] = True
    stats = _stats(metrics, target, endpoint)
    return {
        "address": {
            "socket_address": {
                "address": endpoint.endpoint.address,
                "port_value": endpoint.endpoint.port,
            }
        },
        "stats": [_stat(name, value) for name, value in stats.items()],
        "health_status": health,
        "weight": endpoint.weight,
        "locality": {},
        **({"hostname": hostname} if (hostname := _hostname(target, endpoint)) else {}),
    }


def _stat(name: str, value: int) -> dict[str, str]:
    kind = {"type": "GAUGE"} if name.endswith("_active") else {}
    return {**kind, "name": name, **({"value": str(value)} if value else {})}


def _stats(metrics: Metrics, target: Target, endpoint: EndpointStatus) -> Mapping[str, int]:
    """Envoy's names of what is counted of an endpoint, `cx_total` excepted."""
    return {
        **metrics.of_endpoint(target, endpoint.endpoint),
        "cx_active": endpoint.connections,
        "rq_active": endpoint.active_requests,
        "rq_pending_active": endpoint.pending_requests,
    }


def _hostname(target: Target, endpoint: EndpointStatus) -> str:
    """The name that an address was found by; nothing for one that was written down as such."""
    names = {each.address for each in target.endpoints if target.per_address or each == endpoint.endpoint}
    name = names.pop() if len(names) == 1 else ""
    return "" if is_address(name) else name


def _flags(endpoint: EndpointStatus) -> Iterator[str]:
    """Envoy's words for why an endpoint is out of rotation."""
    if endpoint.is_ejected:
        yield "failed_outlier_check"
    if _is_taken_out(endpoint):
        yield "failed_eds_health"  # whoever runs it, or the proxy, says so


def _is_taken_out(endpoint: EndpointStatus) -> bool:
    return endpoint.held_until is not None or endpoint.by_hand_until is not None


def _limits(target: Target) -> dict[str, int]:
    pool = target.pool
    limits = {
        "max_connections": pool.max_connections,
        "max_pending_requests": pool.max_pending_requests,
        "max_requests": pool.max_requests,
        "max_retries": pool.max_retries,
    }
    return {name: NO_LIMIT if limit is None else limit for name, limit in limits.items()}
